import { explainFragments } from "../../src/core/netfilter/explain";
import type { Fragment } from "../../src/core/netfilter/model";
import { describeRules } from "../../src/core/netfilter/nft";

test("every line has its reason, also one whose id holds the resource's own long name", () => {
  const object = "leak-fence-inside-0123abcd";
  const fragment: Fragment = {
    layer: "ip",
    attachments: [],
    sets: [{ name: `${object}.seen`, type: { is: "type", text: "ipv4_addr" }, what: "who was seen" }],
    elements: [{ set: `${object}.seen`, element: "192.0.2.1" }],
    helpers: [{ name: `${object}.tftp`, helper: "tftp", protocol: "udp" }],
    chains: [{ name: object, rules: [{ id: "10 pass", matches: [], verdict: { is: "accept" } }] }],
  };
  const why = explainFragments(object, [fragment]);
  expect(Object.keys(why).sort()).toEqual(Object.keys(describeRules(object, [fragment])).sort());
  expect(why["inet ct helper ….tftp"]).toBe("reads what tftp says of further connections");
});
