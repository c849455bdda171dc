import { wordsOfMatch } from "./matches";
import type { Fragment, Rule } from "./model";
import { elementId, FAMILY, helperId, ruleKey, setId, shorten } from "./nft";

/** Rule id, as in `rules`, to what the rule is for, in words. */
export function explainFragments(object: string, fragments: readonly Fragment[]): Record<string, string> {
  return Object.fromEntries(
    fragments
      .flatMap(({ layer, chains, sets = [], elements = [], helpers = [] }) => [
        ...sets.map((set) => [ruleKey(FAMILY[layer], setId(set)), set.what] as const),
        ...elements.map((given) => [ruleKey(FAMILY[layer], elementId(given)), `is a member of the set ${given.set}`] as const),
        ...helpers.map(
          (one) => [ruleKey(FAMILY[layer], helperId(one)), `reads what ${one.helper} says of further connections`] as const,
        ),
        ...chains.flatMap(({ rules }) => rules.map((rule) => [ruleKey(FAMILY[layer], rule.id), explainRule(rule)] as const)),
      ])
      .map(([id, what]) => [shorten(object, id), what]),
  );
}

/** "family counter" to the id of the rule that counts; several rules may share one counter, then the first one. */
export function countersOf(fragments: readonly Fragment[]): Record<string, string> {
  const pairs = fragments.flatMap(({ layer, chains }) =>
    chains.flatMap(({ rules }) =>
      rules.flatMap(({ id, counter }) =>
        counter === undefined ? [] : [[`${FAMILY[layer]} ${counter}`, ruleKey(FAMILY[layer], id)] as const],
      ),
    ),
  );
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
    case "log":
      return `${what} is written to the kernel's log, with the uid (UID=) of who on this host sent it, ten lines a minute at most`;
    case "remember":
      return `${what} ${{ begun: "is remembered: this connection was seen to begin", refused: "is remembered: of this connection something was refused" }[verdict.label]}`;
    case "ask":
      return `${what} is asked about: what a UserOutputChain allows its ${verdict.map === "users" ? "user" : "group"} passes`;
    case "goto":
      return `${what} ${counted}goes on in ${verdict.chain.endsWith(".leak") ? "the chain for leaks" : "the next chain"}`;
  }
}
