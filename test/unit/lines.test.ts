import { type Line, rulesWithDrift } from "../../src/core/files/drift";
import { linesOf, rulesOf } from "../../src/core/netfilter/lines";
import type { Fragment } from "../../src/core/netfilter/model";
import { leakFence } from "../../src/providers/leak-fence";

const OBJECT = "leak-fence-inside-0123abcd";

test("every line has its reason, also one whose id holds the resource's own long name", () => {
  const fragment: Fragment = {
    layer: "ip",
    attachments: [],
    sets: [{ name: `${OBJECT}.seen`, type: { is: "type", text: "ipv4_addr" }, what: "who was seen" }],
    elements: [{ set: `${OBJECT}.seen`, element: "192.0.2.1" }],
    helpers: [{ name: `${OBJECT}.tftp`, helper: "tftp", protocol: "udp" }],
    chains: [{ name: OBJECT, rules: [{ id: "10 pass", matches: [], verdict: { is: "accept" } }] }],
  };
  const lines = linesOf(OBJECT, [fragment]);
  expect(lines.map(({ id }) => id)).toEqual([
    "inet set ….seen",
    "inet element ….seen 192.0.2.1",
    "inet ct helper ….tftp",
    "inet 10 pass",
  ]);
  expect(lines[2]?.why).toBe("reads what tftp says of further connections");
  expect(lines.every(({ why }) => why !== "")).toBe(true);
});

describe("rules", () => {
  const fence = (args: object) => leakFence.schema.parse({ uplink: "eth0", networks: ["10.0.0.0/8"], ...args });

  test("have one entry for each decision, with its tables, and one for the rest", () => {
    const exceptions = [{ cidr: "10.0.5.1/32", direction: "to", description: "time" }];
    expect(leakFence.rules(OBJECT, fence({ networks: ["rfc1918", "ula", "198.51.100.0/24"], exceptions }))).toEqual({
      common: expect.stringMatching(/^inet: \d+ lines, netdev: \d+ lines \([0-9a-f]{12}\)$/) as string,
      "deny rfc1918": "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16; inet, netdev: in ….to.ipv4; in ….from.ipv4",
      "deny ula": "fc00::/7; inet, netdev: in ….to.ipv6; in ….from.ipv6",
      "deny 198.51.100.0/24": "inet, netdev: in ….to.ipv4; in ….from.ipv4",
      "except to 10.0.5.1": "inet, netdev: in ….except-to.ipv4 | time",
    });
  });

  test("begin with what was decided, which a preview names", () => {
    expect(Object.keys(leakFence.rules(OBJECT, fence({ networks: ["rfc1918"] })))).toEqual(["deny rfc1918", "common"]);
  });

  test("have one entry for each part of all that is not global, and for a network that is more than a part its own", () => {
    const { common, ...all } = leakFence.rules(OBJECT, fence({ networks: ["special-purpose"] }));
    expect(common).toBeDefined();
    expect(Object.keys(all)).toContain("deny linklocal");
    expect(all["deny linklocal"]).toBe(
      "169.254.0.0/16, fe80::/10; inet, netdev: in ….to.ipv4; in ….to.ipv6; in ….from.ipv4; in ….from.ipv6",
    );
    // What is joined out of two of them is neither.
    expect(Object.keys(all).filter((rule) => rule.includes("/"))).toEqual(["deny ::/127", "deny 100::/63"]);
    expect(Object.keys(leakFence.rules(OBJECT, fence({ networks: ["rfc1918", "11.0.0.0/8"] })))).toEqual([
      "deny 10.0.0.0/7",
      "deny rfc1918",
      "common",
    ]);
  });

  test("differ where only what is in common differs", () => {
    const [dropped, logged] = [leakFence.rules(OBJECT, fence({})), leakFence.rules(OBJECT, fence({ mode: "log" }))];
    expect({ ...dropped, common: "" }).toEqual({ ...logged, common: "" });
    expect(dropped["common"]).not.toBe(logged["common"]);
  });

  test("every line belongs to one of them", () => {
    const fragments: Fragment[] = [
      { layer: "ip", attachments: [], chains: [{ name: OBJECT, rules: [{ id: "10 a", matches: [], verdict: { is: "drop" } }] }] },
    ];
    const entries = Object.keys(rulesOf(OBJECT, fragments));
    expect(linesOf(OBJECT, fragments).every(({ rule }) => entries.includes(rule))).toBe(true);
  });
});

describe("drift in `rules`", () => {
  const line = (id: string, rule: string): Line => ({ id, text: `text of ${id}`, why: "", rule });
  const lines = [
    line("inet deny a", "deny a"),
    line("netdev deny a", "deny a"),
    line("inet 10 pass", "common"),
    line("alone", "alone"),
  ];
  const rules = { "deny a": "in both", common: "1 line", alone: "text of alone" };
  const found = (...drift: [string, string | undefined][]) => rulesWithDrift(rules, lines, new Map(drift));

  test("a line that is missing or changed stands beside its entry", () => {
    expect(found(["inet 10 pass", undefined])).toEqual({ ...rules, "inet 10 pass": "missing" });
    expect(found(["netdev deny a", undefined])).toEqual({ ...rules, "netdev deny a": "missing" });
    expect(found(["inet 10 pass", "drop"])).toEqual({ ...rules, "inet 10 pass": "drop" });
  });

  test("an entry of several lines of which none stands is gone, and its lines need no telling", () => {
    expect(found(["inet deny a", undefined], ["netdev deny a", undefined], ["alone", undefined])).toEqual({ common: "1 line" });
  });

  test("an entry that is a line itself is what was found", () => {
    expect(found(["alone", "other"])).toEqual({ ...rules, alone: "other" });
  });

  test("what belongs to no entry stands by itself, also where it is missing", () => {
    expect(found(["inet not ours: x", "accept"], ["inet of an older layout", undefined])).toEqual({
      ...rules,
      "inet not ours: x": "accept",
      "inet of an older layout": "missing",
    });
  });
});
