import type { Flow } from "../../src/core/files/snapshot";
import { allow } from "../../src/core/netfilter/allow";
import { outliving } from "../../src/core/netfilter/outliving";

const links = new Map([["eth0", { master: undefined, isBridge: false, addresses: ["192.0.2.1", "2001:db8:6::1"] }]]);

/** "tcp 203.0.113.7:50000 192.0.2.1:443"; ICMP has no ports. */
function flow(text: string): Flow {
  const [protocol = "", from = "", to = ""] = text.split(" ");
  const split = (end: string) => /^\[?(.*?)\]?(?::(\d+))?$/.exec(/[.\]]/.test(end) ? end : `[${end}]`)?.slice(1) ?? [];
  const [[source = "", sourcePort], [destination = "", destinationPort]] = [split(from), split(to)];
  return {
    protocol,
    source,
    destination,
    ...(sourcePort === undefined ? {} : { sourcePort: Number(sourcePort) }),
    ...(destinationPort === undefined ? {} : { destinationPort: Number(destinationPort) }),
  };
}

function said(args: object, flows: readonly string[] | "unknown", isCut = false): string | undefined {
  const { hook, ...traffic } = allow.parse({ hook: "input", ...args });
  return outliving(hook, traffic, { links, flows: flows === "unknown" ? flows : { running: flows.map(flow), isCut } });
}

const SHOP = "tcp 203.0.113.7:50000 192.0.2.1:443";
const SHOP6 = "tcp [2001:0db8:0000:0000:0000:0000:0000:0007]:50000 [2001:0db8:0006:0000:0000:0000:0000:0001]:443";
const OUT = "tcp 192.0.2.1:50000 203.0.113.7:443";
const THROUGH = "tcp 203.0.113.7:50000 198.51.100.9:443";
const ALL = [SHOP, SHOP6, OUT, THROUGH, "udp 203.0.113.7:50000 192.0.2.1:443", "icmp 203.0.113.7 192.0.2.1"];
const https = { protocol: "tcp", ports: [443] };

test.each([
  ["of its hook", https, "tcp 203.0.113.7:50000 to 192.0.2.1:443, tcp [2001:db8::7]:50000 to [2001:db8:6::1]:443"],
  ["of output", { hook: "output", ...https }, "tcp 192.0.2.1:50000 to 203.0.113.7:443"],
  ["of forward", { hook: "forward", ...https }, "tcp 203.0.113.7:50000 to 198.51.100.9:443"],
  ["from its addresses", { ...https, from: ["203.0.113.0/28", "203.0.113.64"] }, "tcp 203.0.113.7:50000 to 192.0.2.1:443"],
  ["from whom a set may have", { protocol: "udp", from: { set: "x" } }, "udp 203.0.113.7:50000 to 192.0.2.1:443"],
  ["by whatever interface, once", { protocol: "icmp", in: "eth9" }, "icmp 203.0.113.7 to 192.0.2.1"],
])("connections go on that fit it: %s", (_which, args, expected) =>
  expect(said(args, ALL)).toBe(`what it has let open goes on: ${expected}`),
);

test.each([
  ["fits it", { protocol: "tcp", ports: [80] }, ALL],
  ["is there", https, []],
  ["goes on that it cuts", { ...https, running: "cut" }, ALL],
  ["goes on that it cuts, as far as anybody knows", { ...https, running: "cut" }, "unknown"],
] as const)("nothing is said where none %s", (_what, args, flows) => expect(said(args, flows)).toBeUndefined());

test("more are counted, and what cannot be known is said", () => {
  const many = Array.from({ length: 7 }, (_, index) => `tcp 203.0.113.7:${index + 1} 192.0.2.1:443`);
  expect(said(https, many)).toMatch(/: tcp 203\.0\.113\.7:1 to .*203\.0\.113\.7:5 to 192\.0\.2\.1:443 and 2 more$/);
  expect(said(https, many, true)).toMatch(/ and 2 more, of the first that the host follows$/);
  expect(said(https, "unknown")).toMatch(/^whether what it has let open goes on cannot be known, /);
});
