import { renderLeaks } from "../../src/cli/leaks";
import { addressSet, compileAddressSet } from "../../src/core/netfilter/address-set";
import { allow, compileAllow } from "../../src/core/netfilter/allow";
import { defaultDrop } from "../../src/core/netfilter/default-drop";
import { compileDeny, deny } from "../../src/core/netfilter/deny";
import type { Compiled } from "../../src/core/netfilter/judge";
import { wantedAllows } from "../../src/core/netfilter/wanted-allows";

const input = { host: "deploy@192.0.2.7:22", resource: "DefaultDrop input", log: [] };

test("what a default drop has logged can be pasted into the program, line by line", () => {
  const counters = [
    { line: "inet 20 allow 001", packets: 0, bytes: 0 },
    { line: "inet 91 drop the rest", packets: 14, bytes: 840 },
  ];
  const wanted = [
    { times: 12, allow: { protocol: "tcp", ports: [443], from: ["198.51.100.7", "203.0.113.9"], in: "eth0" } as const },
    { times: 2, packets: "protocol 2 from 203.0.113.1 in eth0", why: "no entry can name it" },
  ];
  const text = renderLeaks({ leaks: [{ ...input, counters, wanted }], unreachable: [] });
  expect(text).toMatch(/│ DefaultDrop input │ inet 91 drop the rest │ 14 +│ 840 +│/);
  expect(text).not.toContain("allow 001");
  expect(text.split("\n").slice(-3)).toEqual([
    "DefaultDrop input on deploy@192.0.2.7:22: what it has logged, as entries of its `allow`",
    '  { protocol: "tcp", ports: [443], from: ["198.51.100.7", "203.0.113.9"], in: "eth0" }, // 12 times',
    "  // 2 times protocol 2 from 203.0.113.1 in eth0: no entry can name it",
  ]);
});

test("where it has logged nothing, or a kind has no such entries, nothing of that is said", () => {
  for (const own of [{ wanted: [] }, {}])
    expect(renderLeaks({ leaks: [{ ...input, counters: [], ...own }], unreachable: [] })).not.toContain("entries");
});

describe("what other resources of the stack let pass by now is left out", () => {
  const intent = defaultDrop.parse({ hook: "forward" });
  const log = ["drawbridge drop forward: IN=eth0 OUT=eth1 SRC=203.0.113.4 DST=192.0.2.9 PROTO=TCP SPT=50000 DPT=443 SYN "];
  const allows = (args: object): Compiled => ({
    object: "allow",
    fragments: compileAllow("allow", allow.parse({ hook: "forward", protocol: "tcp", ports: [443], ...args })),
  });
  const set: Compiled = {
    object: "set",
    fragments: compileAddressSet("set", addressSet.parse({ name: "friends", addresses: ["203.0.113.0/28"] })),
  };
  const denies: Compiled = {
    object: "deny",
    fragments: compileDeny("deny", deny.parse({ hook: "forward", from: ["203.0.113.4"] })),
  };
  test.each([
    ["nothing", [], 1],
    ["it", [allows({})], 0],
    ["another port", [allows({ ports: [80] })], 1],
    ["another hook", [allows({ hook: "input" })], 1],
    ["a set that it is in", [allows({ from: { set: "friends" } }), set], 0],
    ["a set of which nobody knows", [allows({ from: { set: "friends" } })], 1],
    ["until a time that is over", [allows({ until: "2020-01-01T00:00:00Z" })], 1],
    ["it, and somebody denies it", [allows({}), denies], 0],
  ])("%s", (_what, beside, count) => expect(wantedAllows("drop", intent, log, beside)).toHaveLength(count));
});
