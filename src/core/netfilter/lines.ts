import type { Line } from "../files/drift";
import { digest } from "../files/host-file";
import { wordsOfMatch } from "./matches";
import type { Fragment, Passage, Rule, SetElement } from "./model";
import {
  accountId,
  elementId,
  FAMILY,
  type Family,
  helperId,
  linesOfHelper,
  linesOfSet,
  renderElement,
  renderRule,
  ruleKey,
  setId,
  shorten,
} from "./nft";
import { elementOf } from "./passages";

/** The entry of `rules` for all that is the same whatever the user decides. */
const COMMON = "common";

/** A line on the host, and the entry of `rules` that tells of it. What is said of it is made when it is asked for: a set may have very many elements. */
type Part = {
  readonly family: Family;
  /** Without its family, and with the resource's own long names. */
  readonly id: string;
  readonly rule: string;
} & (
  | { readonly is: "element"; readonly given: SetElement }
  | { readonly is: "passage"; readonly given: SetElement; readonly passage: Passage }
  | { readonly is: "rule"; readonly given: Rule }
  | { readonly is: "text"; readonly text: string; readonly why: string }
);

/** What will stand on the host, line by line, rules less their comment; the resource's own long names are shortened to `…`. */
export const linesOf = (object: string, fragments: readonly Fragment[]): Line[] =>
  partsOf(object, fragments).map((part) => ({
    id: shorten(object, ruleKey(part.family, part.id)),
    text: shorten(object, textOf(part)),
    why: shorten(object, whyOf(part)),
    rule: part.rule,
  }));

/**
 * One entry for each decision of the user's: a network, an exception, what somebody may do; with the tables in which it stands. One for all
 * the rest: how many lines, and their digest, so that it differs when one of them does.
 */
export function rulesOf(object: string, fragments: readonly Fragment[]): Record<string, string> {
  const byRule = groupedBy(partsOf(object, fragments), ({ rule }) => rule);
  const common = byRule.get(COMMON);
  byRule.delete(COMMON);
  // Very many decisions may be told in the same few words.
  const shortened = new Map<string, string>();
  const short = (text: string) => {
    const known = shortened.get(text) ?? shorten(object, text);
    shortened.set(text, known);
    return known;
  };
  const decisions = [...byRule].map(([rule, parts]) => [rule, short(decisionOf(parts))] as const);
  // A preview names the first entry, which should say what was decided.
  return Object.fromEntries([...decisions, ...(common === undefined ? [] : [[COMMON, summaryOf(object, common)] as const])]);
}

/** "inet, netdev: in ….to.ipv4; in ….from.ipv4", with the members of a preset before it. Parts of one family stand behind one another. */
function decisionOf(parts: readonly Part[]): string {
  const members = new Set(parts.flatMap((part) => (part.is === "element" ? (part.given.member ?? []) : [])));
  const told: { readonly family: Family; text: string }[] = [];
  const [said, where] = members.size === 0 ? [parts, ""] : [uniqueBriefs(parts), `${[...members].join(", ")}; `];
  for (const part of said) {
    const last = told.at(-1);
    if (last?.family === part.family) last.text += `; ${briefOf(part)}`;
    else told.push({ family: part.family, text: briefOf(part) });
  }
  const [first, ...others] = told;
  if (first !== undefined && others.every(({ text }) => text === first.text))
    return `${where}${told.map(({ family }) => family).join(", ")}: ${first.text}`;
  const alike = groupedBy(told, ({ text }) => text);
  return where + [...alike].map(([text, own]) => `${own.map(({ family }) => family).join(", ")}: ${text}`).join("; ");
}

/** One part for all of a family that are told in the same words. */
const uniqueBriefs = (parts: readonly Part[]): Part[] =>
  [...groupedBy(parts, (part) => ruleKey(part.family, briefOf(part))).values()].flatMap(([first]) => first ?? []);

function summaryOf(object: string, parts: readonly Part[]): string {
  const counts = [...groupedBy(parts, ({ family }) => family)].map(([family, own]) => `${family}: ${own.length} lines`);
  const lines = parts.map((part) => shorten(object, `${ruleKey(part.family, part.id)}: ${textOf(part)}`));
  return `${counts.join(", ")} (${digest(lines.join("\n")).slice(0, 12)})`;
}

function groupedBy<Key, One>(all: readonly One[], keyOf: (one: One) => Key): Map<Key, One[]> {
  const groups = new Map<Key, One[]>();
  for (const one of all) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return groups;
}

function partsOf(object: string, fragments: readonly Fragment[]): Part[] {
  return fragments.flatMap(({ layer, chains, sets = [], elements = [], accounts = [], helpers = [], passages = [] }) => {
    const family = FAMILY[layer];
    const decisionFor = (given: SetElement) => given.decision ?? shorten(object, ruleKey(family, elementId(given)));
    const ofObject = (id: string, lines: readonly string[], why: string): Part => {
      return { is: "text", family, id, rule: COMMON, text: lines.join("; "), why };
    };
    return [
      ...sets.map((set) => ofObject(setId(set), linesOfSet(set), set.what)),
      ...elements.map((given): Part => ({ is: "element", family, id: elementId(given), rule: decisionFor(given), given })),
      ...passages.map((passage): Part => {
        const given = elementOf(passage);
        return { is: "passage", family, id: elementId(given), rule: decisionFor(given), given, passage };
      }),
      ...accounts.map((given): Part => {
        const text = `${given.set} { ${given.of === "users" ? "user" : "group"} ${given.name} }`;
        const why = `is the number that the host has for ${given.name}`;
        return { is: "text", family, id: accountId(given), rule: given.decision, text, why };
      }),
      ...helpers.map((one) =>
        ofObject(helperId(one), linesOfHelper(one), `reads what ${one.helper} says of further connections`),
      ),
      ...chains.flatMap(({ rules }) =>
        rules.map((given): Part => ({ is: "rule", family, id: given.id, rule: given.decision ?? COMMON, given })),
      ),
    ];
  });
}

/** The line itself, a rule less its comment. */
function textOf(part: Part): string {
  switch (part.is) {
    case "rule":
      return renderRule(part.given);
    case "text":
      return part.text;
    default:
      return `${part.given.set} { ${renderElement(part.given)} }`;
  }
}

/** What it is for. */
function whyOf(part: Part): string {
  switch (part.is) {
    case "rule":
      return explainRule(part.given);
    case "text":
      return part.why;
    case "passage":
      return explainRule({ ...part.passage, verdict: { is: "accept" } });
    case "element":
      return `is a member of ${part.given.set}${part.given.counter === undefined ? "" : ", with a counter of its own"}`;
  }
}

/** What `rules` says of it, beside others of the same decision. */
function briefOf(part: Part): string {
  switch (part.is) {
    case "rule":
      return noted(renderRule(part.given), part.given.note);
    case "text":
      return part.text;
    default:
      return noted(`in ${part.given.set}`, part.given.note);
  }
}

const noted = (text: string, note: string | undefined) => (note === undefined ? text : `${text} | ${note}`);

/** "family counter" to the id of the line that counts; several rules may share one counter, then the first one. */
export function countersOf(object: string, fragments: readonly Fragment[]): Record<string, string> {
  const pairs = fragments.flatMap(({ layer, chains, elements = [], passages = [] }) => {
    const family = FAMILY[layer];
    const counting = [
      ...elements.map((given) => ({ id: elementId(given), counter: given.counter })),
      ...passages,
      ...chains.flatMap(({ rules }) => rules),
    ];
    return counting.flatMap(({ id, counter }) =>
      counter === undefined ? [] : [[`${family} ${counter}`, shorten(object, ruleKey(family, id))] as const],
    );
  });
  return Object.fromEntries(pairs.toReversed());
}

function explainRule({ matches, counter, verdict }: Rule): string {
  const what = matches.length === 0 ? "whatever comes here" : matches.map(wordsOfMatch).join(", ");
  const counted = counter === undefined ? "" : "is counted and ";
  switch (verdict.is) {
    case "return":
      return `${what} passes this resource`;
    case "accept":
      return `${what} is allowed`;
    case "drop":
      return `${what} is dropped`;
    case "reject":
      return `${what} is refused: its sender is told so`;
    case "log":
      return verdict.nflogGroup === undefined
        ? `${what} is written to the kernel's log, with the uid (UID=) of who on this host sent it, ten lines a minute at most`
        : `${what} is given to whoever listens to nflog group ${verdict.nflogGroup}, ten packets a minute at most`;
    case "remember":
      return `${what} ${{ begun: "is remembered: this connection was seen to begin", refused: "is remembered: of this connection something was refused", ending: "is remembered: this connection ends with what allows it" }[verdict.label]}`;
    case "mark-bridged":
      return `${what} is marked as bridged, for the IP layer to know, where br_netfilter hands it over`;
    case "unmark-bridged":
      return `${what} loses that mark`;
    case "ask":
      return `${what} is asked about: what a UserOutputChain allows its ${verdict.map === "users" ? "user" : "group"} passes`;
    case "goto":
      return `${what} ${counted}goes on in ${verdict.chain.endsWith(".leak") ? "the chain for leaks" : "the next chain"}`;
  }
}
