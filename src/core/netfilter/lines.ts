import type { Line } from "../files/drift";
import { digest } from "../files/host-file";
import { wordsOfMatch } from "./matches";
import type { Fragment, Rule, SetElement } from "./model";
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

/** A line on the host, and what `rules` says of it beside others of the same decision. Texts are made when they are asked for: a set may have very many elements. */
interface Part {
  readonly family: Family;
  /** Without its family, and with the resource's own long names. */
  readonly id: string;
  readonly rule: string;
  readonly text: () => string;
  readonly why: () => string;
  readonly brief: () => string;
}

/** What will stand on the host, line by line, rules less their comment; the resource's own long names are shortened to `…`. */
export const linesOf = (object: string, fragments: readonly Fragment[]): Line[] =>
  partsOf(object, fragments).map(({ family, id, text, why, rule }) => ({
    id: shorten(object, ruleKey(family, id)),
    text: shorten(object, text()),
    why: shorten(object, why()),
    rule,
  }));

/**
 * One entry for each decision of the user's: a network, an exception, what somebody may do; with the tables in which it stands. One for all
 * the rest: how many lines, and their digest, so that it differs when one of them does.
 */
export function rulesOf(object: string, fragments: readonly Fragment[]): Record<string, string> {
  const parts = groupedBy(partsOf(object, fragments), ({ rule }) => rule);
  // A preview names the first entry, which should say what was decided.
  const decisionsFirst = [...parts].sort(([a], [b]) => Number(a === COMMON) - Number(b === COMMON));
  return Object.fromEntries(
    decisionsFirst.map(([rule, own]) => [rule, shorten(object, rule === COMMON ? summaryOf(object, own) : decisionOf(own))]),
  );
}

function decisionOf(parts: readonly Part[]): string {
  const byFamily = [...groupedBy(parts, ({ family }) => family)].map(
    ([family, own]) => [family, own.map(({ brief }) => brief()).join("; ")] as const,
  );
  const alike = groupedBy(byFamily, ([, text]) => text);
  return [...alike].map(([text, own]) => `${own.map(([family]) => family).join(", ")}: ${text}`).join("; ");
}

function summaryOf(object: string, parts: readonly Part[]): string {
  const counts = [...groupedBy(parts, ({ family }) => family)].map(([family, own]) => `${family}: ${own.length} lines`);
  const lines = parts.map(({ family, id, text }) => shorten(object, `${ruleKey(family, id)}: ${text()}`));
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
    const ofElement = (given: SetElement): Part => ({
      family,
      id: elementId(given),
      rule: given.decision ?? shorten(object, ruleKey(family, elementId(given))),
      text: () => textOfElement(given),
      why: () => whyOfElement(given),
      brief: () => briefOf(given),
    });
    const ofRule = (rule: Rule): Part => ({
      family,
      id: rule.id,
      rule: rule.decision ?? COMMON,
      text: () => renderRule(rule),
      why: () => explainRule(rule),
      brief: () => noted(renderRule(rule), rule.note),
    });
    const ofObject = (id: string, lines: readonly string[], why: string): Part => {
      const text = () => lines.join("; ");
      return { family, id, rule: COMMON, text, why: () => why, brief: text };
    };
    return [
      ...sets.map((set) => ofObject(setId(set), linesOfSet(set), set.what)),
      ...elements.map(ofElement),
      ...passages.map((passage): Part => {
        const given = elementOf(passage);
        return { ...ofElement(given), why: () => explainRule({ ...passage, verdict: { is: "accept" } }) };
      }),
      ...accounts.map((given): Part => {
        const text = () => `${given.set} { ${given.of === "users" ? "user" : "group"} ${given.name} }`;
        const why = () => `is the number that the host has for ${given.name}`;
        return { family, id: accountId(given), rule: given.decision, text, why, brief: text };
      }),
      ...helpers.map((one) =>
        ofObject(helperId(one), linesOfHelper(one), `reads what ${one.helper} says of further connections`),
      ),
      ...chains.flatMap(({ rules }) => rules.map(ofRule)),
    ];
  });
}

const textOfElement = (given: SetElement) => `${given.set} { ${renderElement(given)} }`;
const whyOfElement = ({ set, counter }: SetElement) =>
  `is a member of ${set}${counter === undefined ? "" : ", with a counter of its own"}`;
const briefOf = ({ set, note }: SetElement) => noted(`in ${set}`, note);
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
