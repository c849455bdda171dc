import { allow, reviewAllow } from "../../src/core/netfilter/allow";
import { defaultDrop, reviewDefaultDrop } from "../../src/core/netfilter/default-drop";
import { deny, reviewDeny } from "../../src/core/netfilter/deny";
import { forgottenAfterSeconds } from "../../src/core/values/rate";

const properties = (problems: readonly { property: string }[]) => problems.map(({ property }) => property).join();
const ofAllow = (args: object) => properties(reviewAllow(allow.parse({ hook: "input", ...args })));
const ofDrop = (args: object) => properties(reviewDefaultDrop(defaultDrop.parse({ hook: "forward", ...args })));

const RATE = { connections: 10, per: "minute" };

test.each([
  [{ ...RATE, burst: 5 }, 30],
  [{ connections: 1, per: "day", burst: 10_000 }, 864_000_000],
  [{ connections: 1_000_000, per: "second", burst: 1 }, 1],
] as const)("whoever may open %j is forgotten after %i seconds", (rate, seconds) =>
  expect(forgottenAfterSeconds({ ...rate, per: rate.per as "day" })).toBe(seconds),
);

test.each([
  { connections: 0 },
  { connections: 1.5 },
  { connections: 1_000_001 },
  { per: "week" },
  { burst: 0 },
  { burst: 10_001 },
  { x: 1 },
])("a rate with %j is refused", (part) =>
  expect(allow.safeParse({ hook: "input", protocol: "tcp", rate: { ...RATE, ...part } }).success).toBe(false),
);

test("a rate wants connections to be followed", () => {
  expect(ofAllow({ protocol: "tcp", rate: RATE })).toBe("");
  const args = { allow: [{ protocol: "tcp" }, { protocol: "tcp", rate: RATE }] };
  expect(ofDrop(args)).toBe("");
  expect(ofDrop({ ...args, established: false })).toBe("allow[1].rate");
});

describe("`fragments`", () => {
  const wanted = (hook: string, args: object) => ofAllow({ hook, fragments: true, ...args });
  const udp = { protocol: "udp", ports: [500] };

  test.each([
    ["forward", { ...udp, from: ["203.0.113.0/28"] }],
    ["forward", { ...udp, to: { set: "peers" } }],
    ["forward", { protocol: "icmp", icmpTypes: [8], from: ["203.0.113.1"] }],
    ["input", { service: "nfs", from: ["203.0.113.1", "2001:db8::1"] }],
    ["output", { ...udp, fragments: false }],
  ])("is taken on %s: %j", (hook, args) => expect(wanted(hook, args)).toBe(""));

  test.each([
    ["output, which sees whole packets", "output", { ...udp, to: ["203.0.113.1"] }],
    ["without anybody's name", "forward", udp],
    ["without the sender's name", "input", { ...udp, to: ["2001:db8::1"] }],
    ["of IPv4 alone for the host itself", "input", { ...udp, from: ["203.0.113.1"] }],
    ["where no ports are asked for", "forward", { protocol: "udp", from: ["203.0.113.1"] }],
    ["of ESP, which has none", "forward", { protocol: "esp", from: ["203.0.113.1"] }],
    ["beside a rate", "forward", { ...udp, from: ["203.0.113.1"], rate: RATE }],
  ])("is refused: %s", (_why, hook, args) => expect(wanted(hook, args)).toBe("fragments"));

  test("wants that no connection is followed", () => {
    const allow = [{ ...udp, from: ["203.0.113.1"], fragments: true }];
    expect(ofDrop({ allow, established: false })).toBe("");
    expect(ofDrop({ allow })).toBe("allow[0].fragments");
  });
});

describe('`running: "cut"`', () => {
  const cut = (args: object) => ofAllow({ hook: "forward", protocol: "udp", running: "cut", ...args });
  test("is taken with an end, with hours, and with neither", () => {
    expect(cut({ until: "2026-12-24T17:00:00Z" })).toBe("");
    expect(cut({ when: { hours: "08:00-17:00" } })).toBe("");
    expect(cut({})).toBe("");
  });
  test("is refused where nothing would pass but new connections, where none are followed, and in a phase", () => {
    expect(cut({ rate: RATE })).toBe("running");
    expect(cut({ ports: [53], from: ["192.0.2.1"], fragments: true })).toBe("running");
    expect(cut({ phase: "guest" })).toBe("phase");
    expect(ofAllow({ protocol: "udp", phase: "guest" })).toBe("");
    const allow = [{ protocol: "udp", running: "cut" }];
    expect(ofDrop({ allow })).toBe("");
    expect(ofDrop({ allow, established: false })).toBe("allow[0].running");
  });
});

describe("an entry that does not say what it is about", () => {
  const reasons = (problems: readonly { property: string; reason: string }[]) =>
    problems.map(({ property, reason }) => `${property}: ${reason}`).join();
  test.each([
    {},
    { until: "2026-12-24T17:00:00Z" },
    { rate: RATE },
    { when: { days: ["Monday"] } },
    { log: true, description: "x" },
  ])("is refused: %j", (args) => {
    const reason = "must be given, or another property that says what is allowed; otherwise everything would pass this hook";
    expect(reasons(reviewAllow(allow.parse({ hook: "input", ...args })))).toBe(`from: ${reason}`);
    expect(reasons(reviewDefaultDrop(defaultDrop.parse({ hook: "forward", allow: [{ in: "eth0" }, args] })))).toBe(
      `allow[1].from: ${reason}`,
    );
  });
  test("is refused for a deny in its words", () =>
    expect(reasons(reviewDeny(deny.parse({ hook: "input", until: "2026-12-24T17:00:00Z" })))).toBe(
      "from: must be given, or another property that says what is denied; otherwise nothing would pass this hook",
    ));
  test.each([
    { from: ["192.0.2.1"] },
    { to: { set: "office" } },
    { mac: ["02:00:5e:00:53:01"] },
    { in: "eth0" },
    { service: "dns" },
    { protocol: "tcp" },
  ])("is taken once it says %j", (args) => {
    expect(ofAllow(args)).toBe("");
    expect(properties(reviewDeny(deny.parse({ hook: "input", ...args })))).toBe("");
  });
});

test.each([
  ["mac on output", { hook: "output", mac: ["02:00:5e:00:53:01"] }, "mac"],
  ["mac on forward", { hook: "forward", mac: ["02:00:5e:00:53:01"] }, ""],
  ["a user on output", { hook: "output", user: "maggie" }, ""],
  ["a user on input", { hook: "input", user: "maggie" }, "user"],
  ["a group on forward", { hook: "forward", group: "staff" }, "group"],
  ["a user and a group", { hook: "output", user: "maggie", group: "staff" }, "group"],
  ["dates in the wrong order", { protocol: "tcp", when: { firstDate: "2026-12-02", lastDate: "2026-12-01" } }, "when.lastDate"],
])("%s", (_what, args, expected) => expect(ofAllow(args)).toBe(expected));

test.each([
  ["02:00:5e:00:53"],
  ["03:00:5e:00:53:01"],
  ["00:00:00:00:00:00"],
  ["02-00-5e-00-53-01"],
  ["02:00:5e:00:53:01 accept"],
  [],
])("the MAC address %j is refused", (...mac) => expect(deny.safeParse({ hook: "input", mac }).success).toBe(false));
