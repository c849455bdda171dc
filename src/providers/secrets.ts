import { z } from "zod";
import type { Rules } from "../core/files/drift";
import { formatInterfaceAddress, interfaceAddress, parsePrefix } from "../core/values/prefix";
import { printable } from "../core/values/printable";
import type { Problem } from "./spec";
import { type Props, UNKNOWN } from "./wire";

/** What stands in a text in the place of a secret, as the engine writes it. */
const MASK = "[secret]";

/** Where among the arguments secrets are, as the class says it: `["commands", "0", "args", "1"]`. */
const places = z.array(z.array(z.string())).catch([]);

const placesIn = (props: Props) => places.parse(props["__secretArguments"]);

const known = new Set<string>();
let pattern: RegExp | undefined;

/** Keeps the values of those arguments that the program has marked as secrets: the engine gives a provider all values in clear. */
export function rememberSecrets(props: Props): void {
  const values = placesIn(props).map((place) => valueAt(props, place));
  for (const text of values.flatMap(textsIn)) {
    if (known.has(text)) continue;
    known.add(text);
    pattern = undefined;
  }
}

function valueAt(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined) return value;
  return typeof value === "object" && value !== null ? valueAt((value as Props)[key], rest) : undefined;
}

/** All texts and numbers in a value. */
function textsIn(value: unknown): string[] {
  if (typeof value === "number") return [String(value)];
  if (typeof value === "string") return value === UNKNOWN ? [] : textsOf(printable(value).trim());
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

/** Below this a line among others says nothing: "then", "done" and "root" are in every script and in every message. */
const SHORT_LINE = 8;

/** A text, and each longer line of one that has several: whoever quotes a line shows it alone. Mere punctuation is in every message. */
function textsOf(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  const long = lines.length > 1 ? lines.filter((line) => line.length >= SHORT_LINE) : [];
  return [text, ...asTheKernelPrints(text), ...long].filter((one) => /[\p{L}\p{N}]/u.test(one));
}

/** An address or a prefix in the form in which a host quotes it: `10.0.5.1` of `10.0.5.1/32`, `fd00::/8` of `FD00:0::/8`, and an interface's address alone. */
function asTheKernelPrints(text: string): string[] {
  const prefix = parsePrefix(text);
  const ofInterface = interfaceAddress.safeParse(text).success ? formatInterfaceAddress(text) : undefined;
  return [
    ...(typeof prefix === "string" ? [] : [prefix.text]),
    ...(ofInterface === undefined ? [] : [ofInterface, ofInterface.replace(/\/\d+$/, "")]),
  ];
}

/** Below this a text is hidden only where it stands as a word of its own: "1" would be found in every number. */
const SHORT = 4;
/** The same for a text of letters and digits alone: "root" would be found in "chroot". */
const SHORT_WORD = 12;

/** An address: "10.0.5.1" would be found in "10.0.5.12". */
const ADDRESS = /^[0-9A-Fa-f.:]+(\/\d+)?$/;

const isWord = (text: string) =>
  text.length < SHORT || (text.length < SHORT_WORD && /^[A-Za-z0-9]+$/.test(text)) || (/[.:]/.test(text) && ADDRESS.test(text));

/** Whether a word begins here: the `n` of a quoted line feed (`\n`) is no letter of the word behind it. */
const BEGINS = String.raw`(?<!(?<!\\)[A-Za-z0-9])`;
const ENDS = "(?![A-Za-z0-9])";

/** A text of a host, of one of its tools or of our own, with every secret of this run taken out, also where a backslash quotes a character. */
export function withoutSecrets(text: string): string {
  if (known.size === 0) return text;
  pattern ??= new RegExp(
    [...known]
      .sort((a, b) => b.length - a.length)
      .map((secret) => {
        const quoted = Array.from(secret, (character) => `\\\\*${character.replace(/[^A-Za-z0-9]/u, String.raw`\$&`)}`).join("");
        return isWord(secret) ? BEGINS + quoted + ENDS : quoted;
      })
      .join("|"),
    "g",
  );
  return text.replace(pattern, MASK);
}

/** The error, whose texts hold no secret. */
export function withoutSecretsIn(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  error.message = withoutSecrets(error.message);
  if (error.stack !== undefined) error.stack = withoutSecrets(error.stack);
  // Of a create or update whose outcome is unknown, the engine shows these.
  if ("reasons" in error) error.reasons = z.array(z.string()).parse(error.reasons).map(withoutSecrets);
  return error;
}

/**
 * What is wrong with the arguments `props`, for the engine: it prints the value of a property that a problem names, in clear, so the name of
 * one that holds a secret stands in the reason alone.
 */
export function problemsWithoutSecrets(problems: readonly Problem[], props: Props): Problem[] {
  const secret = new Set(["connection", ...placesIn(props).map(([key]) => key)]);
  return problems.map(({ property, reason }) =>
    secret.has(property)
      ? { property: "", reason: `property ${property}: ${withoutSecrets(reason)}` }
      : { property, reason: withoutSecrets(reason) },
  );
}

/** How an id begins that holds nothing of the arguments so far: the table, the number, what is the matter. The rest names values. */
const PLAIN = /^(?:(?:inet|bridge|netdev)(?= ))? ?(?:\d+(?= )|(?:damaged|not ours, in our (?:table|chain)|at boot):|file(?= ))?/;

/**
 * What is to stand and what was found, where a line may hold a secret: only whether it differs. Ids are made of values as well, and in
 * another form than the program's (10.0.5.1 of 10.0.5.1/32), so each has a number in the place of its words, the same in both.
 */
export function masked(wanted: Rules, found: Rules): [Rules, Rules] {
  const ids = new Set([...Object.keys(wanted), ...Object.keys(found)]);
  const shown = new Map([...ids].map((id, index) => [id, `${PLAIN.exec(id)?.[0].trim() ?? ""} #${index + 1}`.trim()]));
  const lineOf = (id: string, line: string) => (line === wanted[id] ? MASK : line === "missing" ? line : `another ${MASK}`);
  const hide = (rules: Rules) =>
    Object.fromEntries(Object.entries(rules).map(([id, line]) => [shown.get(id) ?? "", lineOf(id, line)]));
  return [hide(wanted), hide(found)];
}
