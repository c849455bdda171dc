import { z } from "zod";
import {
  comparePrefixes,
  outermost,
  parsePrefix,
  type Prefix,
  prefixesOf,
  prefixText,
  type Version,
  VERSIONS,
  versionOf,
} from "../values/prefix";
import type { InSetMatch } from "./matches/in-set";
import type { Side } from "./matches/spec";
import type { Rules } from "../files/drift";
import { digest as digestOf } from "../files/host-file";
import { rulesOf } from "./lines";
import type { Fragment, NamedSet } from "./model";
import type { Layer } from "./slots";

/** The name by which rules of any stack call a set on its host. */
export const setName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,30}$/, "must be a name: up to 31 letters, digits, '_' or '-', a letter first");

const path = z.string().min(1, "must be the path of a file beside the program");
/** What the state keeps of a file: not what is in it. */
const readFile = z.strictObject({ path, addresses: z.number(), prefixes: z.number(), digest: z.string() });

/** AddressSet's own arguments; see the class for their meaning. Check writes what it has read in the place of the path of `file`. */
export const addressSet = z.strictObject({
  name: setName,
  addresses: z.array(prefixText).default([]),
  file: z.union([path, readFile]).optional(),
  fences: z.boolean().default(false),
});
export type AddressSetIntent = z.infer<typeof addressSet>;

/** Single addresses are found by their hash, in a time that does not grow; prefixes have a set of intervals of their own, where one more costs as much as there are. */
type Part = "addresses" | "prefixes";
const PARTS: readonly Part[] = ["addresses", "prefixes"];
const partOf = ({ length, bits }: Prefix): Part => (length === bits ? "addresses" : "prefixes");

const nameOnHost = (name: string, version: Version, part: Part) => `set.${name}.ipv${version}.${part}`;

/** What a packet is asked where a rule names the set: two questions for each IP version, of which one must hold. */
export const inAddressSet = (name: string, side: Side, version: Version, whenMissing: "none" | "all"): readonly InSetMatch[] =>
  PARTS.map((part) => ({ is: "in-set", side, version, set: nameOnHost(name, version, part), whenMissing }));

/** So many elements are in one file; of more, each file has some so many. */
const ELEMENTS_OF_A_FILE = 2048;
/** Where these are full, at 131,072 elements, the files become larger. */
export const MOST_FILES = 64;
/** A power of two, so that few changes of the number of elements change the number of files. */
const filesFor = (elements: number) =>
  elements <= ELEMENTS_OF_A_FILE ? 1 : Math.min(MOST_FILES, 2 ** Math.ceil(Math.log2(elements / ELEMENTS_OF_A_FILE)));

/** The kernel needs as long for one more prefix as it takes to go through all of them (facts in docs/performance.md). */
const MOST_PREFIXES = 10_000;

/** Above so many, `rules` has one entry for all, and not one for each. */
const MOST_ENTRIES = 64;

/** A set stands in the table of each layer whose rules name it, for tables know nothing of each other. */
export const LAYERS = ["ip", "bridge", "device"] as const satisfies readonly Layer[];

/** All four sets stand, whatever is in them, so that one more element changes nothing else. */
export function compileAddressSet(_object: string, { name, addresses, file, fences }: AddressSetIntent): Fragment[] {
  const prefixes = membersOf(addresses);
  const sets = VERSIONS.flatMap((version) =>
    PARTS.map((part): NamedSet => ({
      name: nameOnHost(name, version, part),
      type: { is: "type", text: `ipv${version}_addr` },
      ...(part === "prefixes" ? { flags: ["interval"] } : {}),
      ...(file === undefined ? {} : { isOwn: true }),
      what: `IPv${version} ${part} of the set ${name}`,
    })),
  );
  const all = file === undefined ? "all addresses" : decisionOf(file);
  const decision = file !== undefined || prefixes.length > MOST_ENTRIES ? { decision: all } : {};
  const elements = prefixes.map((prefix) => ({
    set: nameOnHost(name, versionOf(prefix), partOf(prefix)),
    element: prefix.text,
    ...decision,
  }));
  const parts = filesFor(elements.length);
  return (fences ? LAYERS : LAYERS.slice(0, 1)).map((layer) => ({ layer, attachments: [], chains: [], sets, elements, parts }));
}

// A list may be very long, and is asked for its members by each step of a run.
const knownMembers = new WeakMap<readonly string[], readonly Prefix[]>();

/** What lies in another one adds nothing. */
function membersOf(addresses: readonly string[]): readonly Prefix[] {
  const known = knownMembers.get(addresses) ?? outermost(prefixesOf(addresses).sort(comparePrefixes), (one) => one);
  knownMembers.set(addresses, known);
  return known;
}

type File = NonNullable<AddressSetIntent["file"]>;
const pathOf = (file: File) => (typeof file === "string" ? file : file.path);
const decisionOf = (file: File) => `the addresses of ${pathOf(file)}`;

/** The entries of `rules`: of a file one, which the state alone can make. */
export function rulesOfAddressSet(object: string, intent: AddressSetIntent): Rules {
  const { file } = intent;
  if (file === undefined || typeof file === "string") return rulesOf(object, compileAddressSet(object, intent));
  const counts = `${file.addresses} addresses, ${file.prefixes} prefixes (${file.digest.slice(0, 12)})`;
  return { ...rulesOf(object, compileAddressSet(object, { ...intent, addresses: [] })), [decisionOf(file)]: counts };
}

/** What no single argument can tell. */
export function reviewAddressSet({ addresses, file }: AddressSetIntent): { property: string; reason: string }[] {
  if (file !== undefined && addresses.length > 0)
    return [{ property: "file", reason: "cannot be beside `addresses`; write those into the file, or make a second AddressSet" }];
  const prefixes =
    typeof file === "object" ? file.prefixes : prefixesOf(addresses).filter((one) => partOf(one) === "prefixes").length;
  const property = file === undefined ? "addresses" : "file";
  const reason = `has ${prefixes} prefixes, and a set takes at most ${MOST_PREFIXES}: the kernel needs seconds for each change of more. Single addresses have no such bound`;
  return prefixes > MOST_PREFIXES ? [{ property, reason }] : [];
}

/** The file beside the program that it takes its addresses from. */
export const fileOfAddressSet = ({ file }: AddressSetIntent) => (file === undefined ? undefined : pathOf(file));

/** What is in the file: an address or a prefix a line; `#` begins a comment. Or why it cannot be taken, by line. */
export function readAddressSet(
  { file = "" }: AddressSetIntent,
  text: string,
): { readonly kept: Pick<AddressSetIntent, "file">; readonly content: Pick<AddressSetIntent, "addresses"> } | readonly string[] {
  const parsed = text.split("\n").map((line) => {
    const [said = ""] = line.split("#", 1);
    const written = said.trim();
    return written === "" ? undefined : parsePrefix(written);
  });
  const problems = parsed.flatMap((one, index) => (typeof one === "string" ? [`line ${index + 1}: ${one}`] : []));
  if (problems.length > 0) return problems;
  const given = parsed.filter((one) => typeof one === "object").sort(comparePrefixes);
  const members = outermost(given, (one) => one);
  const addresses = members.map(({ text }) => text);
  knownMembers.set(addresses, members);
  const single = members.filter((one) => partOf(one) === "addresses").length;
  const digest = digestOf(addresses.join("\n"));
  return {
    kept: { file: { path: pathOf(file), addresses: single, prefixes: members.length - single, digest } },
    content: { addresses },
  };
}
