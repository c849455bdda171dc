import { compareFragment, isLive, undeclaredSets } from "../core/netfilter/compare";
import { countersOf, linesOf, rulesOf } from "../core/netfilter/lines";
import type { Fragment } from "../core/netfilter/model";
import { FAMILY, filesOfFragment, fragmentPath, fragmentPaths } from "../core/netfilter/nft";
import type { Layer } from "../core/netfilter/slots";
import type { KindSpec } from "./spec";

/** What a kind is that compiles to fragments and nothing else; `layers` are all that any of its intents may have, and over at most `mostParts` files its elements are spread. */
export function madeOfFragments<Intent>(
  layers: readonly Layer[],
  compile: (object: string, intent: Intent) => readonly Fragment[],
  mostParts = 1,
): Pick<KindSpec<Intent>, "domain" | "fragments" | "rules" | "lines" | "counters" | "files" | "paths" | "drift"> {
  return {
    domain: "nft",
    fragments: compile,
    rules: (object, intent) => rulesOf(object, compile(object, intent)),
    lines: (object, intent) => linesOf(object, compile(object, intent)),
    counters: (object, intent) => countersOf(object, compile(object, intent)),
    files: (header, intent) => compile(header.object, intent).flatMap((fragment) => filesOfFragment(header, fragment)),
    paths: (object) => layers.flatMap((layer) => fragmentPaths(layer, object, mostParts)),
    drift: (object, intent, { canonical, live, facts }) => {
      const fragments = compile(object, intent);
      const drift = fragments.flatMap((fragment) => {
        const family = FAMILY[fragment.layer];
        const unmet = facts.unmet.get(fragmentPath(fragment.layer, object)) ?? [];
        return [
          ...compareFragment(object, fragment, canonical[family], live[family]),
          ...unmet.map((reason, index) => [`needs #${index + 1}`, reason] as const),
        ];
      });
      const undeclared = fragments.flatMap((fragment) => undeclaredSets(fragment, canonical[FAMILY[fragment.layer]]));
      return {
        drift: new Map(drift),
        present: () => fragments.some((fragment) => isLive(fragment, live[FAMILY[fragment.layer]])),
        warnings: [...new Set(undeclared)].map((set) => `it waits for the set ${set}, which nobody declares on this host`),
      };
    },
  };
}
