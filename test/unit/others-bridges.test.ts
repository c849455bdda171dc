import { defaultDrop } from "../../src/core/netfilter/default-drop";
import { warnOfBridges } from "../../src/core/netfilter/others-bridges";

/** The bridges that a default drop on forward names, on a host with these links ("br0*" is a bridge). */
function named(args: object, links: readonly string[], forwarded: readonly string[] = []): string {
  const facts = {
    links: new Map(
      links.map((link) => [link.replace("*", ""), { master: undefined, isBridge: link.endsWith("*"), addresses: [] }]),
    ),
  };
  const intent = defaultDrop.parse({ hook: "forward", ...args });
  return warnOfBridges(intent, facts, new Set(forwarded))
    .map((text) => /^allow: does not name (.*?), which (?:is a bridge|are bridges) of (\w+)'s: /.exec(text)?.slice(1).join(" "))
    .join("; ");
}

const HOST = ["lo", "eth0", "docker0*", "br-0123456789ab*", "virbr0*", "vnet0"];
const ALL = "br-0123456789ab, docker0 Docker; virbr0 libvirt";

test.each([
  ["nothing is allowed", {}, HOST, ALL],
  ["what is allowed names none", { allow: [{ in: "eth0" }, { from: ["172.17.0.0/16"] }] }, HOST, ALL],
  [
    "what comes in by one is allowed",
    { allow: [{ in: "docker0", out: "eth0" }] },
    HOST,
    "br-0123456789ab Docker; virbr0 libvirt",
  ],
  ["what goes out by one is allowed", { allow: [{ in: "eth0", out: "virbr0" }] }, HOST, "br-0123456789ab, docker0 Docker"],
  ["it is a rehearsal", { mode: "log" }, HOST, ""],
  ["the hook is another one", { hook: "input" }, HOST, ""],
  ["there is none", {}, ["lo", "eth0"], ""],
  ["they are bridges of somebody else's", {}, ["br0*", "br-lan*", "virbr-mine*", "docker00*"], ""],
  ["they are no bridges", {}, ["docker0", "virbr0"], ""],
])("where %s", (_what, args, links, expected) => {
  expect(named(args, links)).toBe(expected);
});

test("one that an Allow of the program names is not named", () => {
  expect(named({}, HOST, ["docker0", "eth0"])).toBe("br-0123456789ab Docker; virbr0 libvirt");
});
