import { compareFragment, isLive } from "../core/netfilter/compare";
import { compileLeakFence, leakFence as schema, refuseLeakFence, reviewLeakFence } from "../core/netfilter/leak-fence";
import { describeRules, FAMILY, fragmentPath, renderFragment } from "../core/netfilter/nft";
import { defineKind } from "./spec";

export const leakFence = defineKind(schema, {
  kind: "LeakFence",
  domain: "nft",
  review: reviewLeakFence,
  rules: (object, intent) => describeRules(object, compileLeakFence(object, intent)),
  files: (header, intent) => compileLeakFence(header.object, intent).map((fragment) => renderFragment(header, fragment)),
  paths: (object) => (["ip", "bridge", "device"] as const).map((layer) => fragmentPath(layer, object)),
  refuse: refuseLeakFence,
  drift: (object, intent, { canonical, live }) => {
    const fragments = compileLeakFence(object, intent);
    const listings = fragments.map((fragment) => ({ fragment, family: FAMILY[fragment.layer] }));
    return {
      drift: new Map(
        listings.flatMap(({ fragment, family }) => [...compareFragment(object, fragment, canonical[family], live[family])]),
      ),
      present: listings.some(({ fragment, family }) => isLive(fragment, live[family])),
    };
  },
});
