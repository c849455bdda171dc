import type { InSetMatch } from "../../src/core/netfilter/matches/in-set";
import type { Fragment } from "../../src/core/netfilter/model";
import { renderFragment } from "../../src/core/netfilter/nft";

const header = { object: "gate", owner: "o", from: "f" };
const named = (whenMissing: InSetMatch["whenMissing"], set = "office") =>
  ({ is: "in-set", side: "source", version: 4, set, whenMissing }) as const;

/** A default drop whose rules name these sets. */
const gate = (sets: readonly InSetMatch[], own: Partial<Fragment> = {}): Fragment => ({
  layer: "ip",
  attachments: [{ to: "drop.input", key: "final", chain: "gate" }],
  chains: [{ name: "gate", rules: sets.map((match, index) => ({ id: `${index}`, matches: [match], verdict: { is: "drop" } })) }],
  failClosed: [{ hook: "input", verdict: "drop-the-rest", matches: [] }],
  ...own,
});

test("a default drop that says what is dropped where its table does not load is rendered", () => {
  const { text } = renderFragment(header, gate([named("all"), named("none", "guests")]));
  expect(text).toMatch(
    /# attach drop.input final gate\n# close input\n# uses office all ipv4_addr\n# uses guests none ipv4_addr\n/,
  );
});

test.each([
  ["says nothing of a table that does not load", gate([], { failClosed: [] }), /does not say what is dropped/],
  ["says it of another hook", gate([], { failClosed: [{ hook: "forward", verdict: "drop", matches: [] }] }), /does not say/],
  ["stands in no phase", gate([], { attachments: [{ to: "drop.input", chain: "gate" }] }), /drop.input has no phase \*/],
  ["stands in an unknown one", gate([], { attachments: [{ to: "drop.input", key: "eth0", chain: "gate" }] }), /no phase eth0/],
  ["does not say what a missing set is", gate([named(undefined)]), /nobody says what the set office holds/],
  ["wants a missing set empty and full", gate([named("all"), named("none")]), /nothing and everything/],
])("a fragment that %s is a fault of its kind", (_what, fragment, reason) => {
  expect(() => renderFragment(header, fragment)).toThrow(reason);
});
