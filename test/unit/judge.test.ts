import { addressSet, compileAddressSet } from "../../src/core/netfilter/address-set";
import { allow, compileAllow } from "../../src/core/netfilter/allow";
import { compileDefaultDrop, defaultDrop } from "../../src/core/netfilter/default-drop";
import { compileDeny, deny } from "../../src/core/netfilter/deny";
import { type Compiled, judge } from "../../src/core/netfilter/judge";
import { holdsFor, type Match } from "../../src/core/netfilter/matches";
import { compileOutputGuard, outputGuard } from "../../src/core/netfilter/output-guard";
import { compileUserOutputChain, userOutputChain } from "../../src/core/netfilter/user-output-chain";
import type { Sets } from "../../src/core/netfilter/matches/spec";
import type { Rule } from "../../src/core/netfilter/model";
import { packet, prefix } from "./packet";

/** Which packets a match holds for, for which it does not, and of which that cannot be known. */
interface Case {
  readonly match: Match;
  readonly holds: readonly string[];
  readonly not: readonly string[];
  readonly unknown: readonly string[];
}

/** One set, of one address. */
const SETS: Sets = {
  has: (set, address) => (set === "unknown" ? undefined : set === "office" && address.base === prefix("192.0.2.5").base),
};

const MATCHES: { readonly [Name in Match["is"]]: readonly Case[] } = {
  destination: [
    {
      match: { is: "destination", prefixes: [prefix("192.0.2.0/24"), prefix("203.0.113.7")] },
      holds: ["input ip to=192.0.2.200", "output ip to=203.0.113.7 from=198.51.100.1"],
      not: ["input ip to=203.0.113.8", "input ip6", "input ip6 to=2001:db8::1"],
      unknown: ["input ip", "input ip from=192.0.2.1"],
    },
    {
      // At the IP layer nothing has a tag.
      match: { is: "destination", prefixes: [prefix("192.0.2.0/24")], tagged: true },
      holds: [],
      not: ["input ip to=192.0.2.1"],
      unknown: [],
    },
  ],
  source: [
    {
      match: { is: "source", prefixes: [prefix("2001:db8::/32")] },
      holds: ["input ip6 from=2001:db8:1::2"],
      not: ["input ip6 from=2001:db9::1", "input ip", "input ip from=192.0.2.1"],
      unknown: ["input ip6", "input ip6 to=2001:db8::1"],
    },
  ],
  "in-set": [
    {
      match: { is: "in-set", side: "source", version: 4, set: "office" },
      holds: ["input ip from=192.0.2.5"],
      not: ["input ip from=192.0.2.6", "input ip6"],
      unknown: ["input ip", "input ip to=192.0.2.5"],
    },
    {
      match: { is: "in-set", side: "source", version: 4, set: "unknown", whenMissing: "none" },
      holds: [],
      not: ["input ip6 from=2001:db8::1"],
      unknown: ["input ip from=192.0.2.5"],
    },
  ],
  "counted-in": [
    {
      match: { is: "counted-in", side: "destination", version: 4, map: "office" },
      holds: ["postrouting ip to=192.0.2.5"],
      not: ["postrouting ip to=192.0.2.6", "postrouting ip6"],
      unknown: ["postrouting ip"],
    },
  ],
  wrapped: [
    {
      match: { is: "wrapped", direction: "out" },
      holds: ["postrouting ip wrapped"],
      not: ["postrouting ip bare"],
      unknown: ["postrouting ip"],
    },
    {
      match: { is: "wrapped", direction: "out", reqid: 7 },
      holds: [],
      not: ["postrouting ip bare"],
      unknown: ["postrouting ip wrapped"],
    },
  ],
  "ipsec-protocol": [
    { match: { is: "ipsec-protocol", protocol: "esp" }, holds: ["input ip esp"], not: ["input ip ah"], unknown: ["input ip"] },
  ],
  "key-exchange": [
    {
      match: { is: "key-exchange", direction: "in", port: 500 },
      holds: ["input ip udp dport=500"],
      not: ["input ip udp dport=501", "input ip tcp dport=500", "input ip esp", "input ip udp fragment"],
      unknown: ["input ip udp sport=500", "input ip dport=500"],
    },
    {
      match: { is: "key-exchange", direction: "out", port: 4500 },
      holds: ["output ip udp sport=4500"],
      not: ["output ip udp sport=4501"],
      unknown: ["output ip udp dport=4500"],
    },
  ],
  "esp-in-udp": [{ match: { is: "esp-in-udp" }, holds: [], not: [], unknown: ["input ip udp dport=4500 data"] }],
  "ether-type": [{ match: { is: "ether-type", type: "arp" }, holds: [], not: ["forward ip in=br0 out=br0"], unknown: [] }],
  "only-bridged": [{ match: { is: "only-bridged" }, holds: [], not: ["forward ip in=br0 out=br0"], unknown: [] }],
  loopback: [
    {
      match: { is: "loopback", direction: "in" },
      holds: ["input ip in=lo"],
      not: ["input ip in=eth0", "output ip out=lo"],
      unknown: ["input ip"],
    },
    {
      match: { is: "loopback", direction: "out" },
      holds: ["output ip out=lo"],
      not: ["output ip out=eth0", "input ip in=lo"],
      unknown: ["output ip"],
    },
  ],
  interface: [
    {
      match: { is: "interface", direction: "in", name: "eth0" },
      holds: ["input ip in=eth0", "forward ip in=eth0 out=eth1"],
      not: ["input ip in=eth1", "output ip"],
      unknown: ["input ip", "forward ip out=eth0"],
    },
    {
      match: { is: "interface", direction: "out", name: "eth0" },
      holds: ["output ip out=eth0"],
      not: ["output ip out=eth1", "input ip", "prerouting ip"],
      unknown: ["forward ip in=eth0"],
    },
  ],
  protocol: [
    {
      match: { is: "protocol", protocol: "icmpv6" },
      holds: ["input ip6 icmpv6"],
      not: ["input ip6 tcp", "input ip icmp", "input ip other"],
      unknown: ["input ip6"],
    },
  ],
  icmp: [
    {
      match: { is: "icmp", version: 4, types: [11, 12] },
      holds: ["input ip icmp type=11", "input ip icmp type=12"],
      not: ["input ip icmp type=8", "input ip6 icmpv6 type=11", "input ip tcp", "input ip icmp fragment"],
      unknown: ["input ip icmp", "input ip type=11"],
    },
  ],
  "to-this-host": [
    { match: { is: "to-this-host" }, holds: ["output ip to-us"], not: ["output ip to-others"], unknown: ["output ip from-us"] },
  ],
  "from-this-host": [
    {
      match: { is: "from-this-host" },
      holds: ["output ip from-us"],
      not: ["output ip from-others"],
      unknown: ["output ip to-us"],
    },
  ],
  icmpv6: [
    {
      match: { is: "icmpv6", types: [133, 136], hopLimit: 255 },
      holds: ["input ip6 icmpv6 type=135 hops=255"],
      not: ["input ip6 icmpv6 type=135 hops=64", "input ip6 icmpv6 type=128 hops=255", "input ip6 icmpv6 type=128", "input ip"],
      unknown: ["input ip6 icmpv6 type=135", "input ip6 icmpv6 hops=255"],
    },
  ],
  "dhcp-request": [
    {
      match: { is: "dhcp-request", version: 4 },
      holds: ["output ip udp sport=68 dport=67"],
      not: [
        "output ip udp sport=67 dport=68",
        "output ip6 udp sport=68 dport=67",
        "output ip tcp sport=68 dport=67",
        "output ip udp fragment",
      ],
      unknown: ["output ip udp dport=67", "output ip udp sport=68"],
    },
  ],
  "dhcp-reply": [
    {
      match: { is: "dhcp-reply", version: 6 },
      holds: ["input ip6 udp sport=547 dport=546"],
      not: ["input ip6 udp sport=546 dport=547", "input ip udp sport=547 dport=546"],
      unknown: ["input ip6 udp dport=546"],
    },
  ],
  "destination-ports": [
    {
      match: { is: "destination-ports", protocol: "tcp", ports: [20, 22] },
      holds: ["input ip tcp dport=20", "input ip6 tcp dport=22"],
      not: ["input ip tcp dport=23", "input ip udp dport=22", "input ip icmp", "input ip tcp fragment"],
      unknown: ["input ip tcp", "input ip dport=22", "input ip tcp sport=22"],
    },
  ],
  "source-ports": [
    {
      match: { is: "source-ports", protocol: "udp", ports: [53, 53] },
      holds: ["input ip udp sport=53"],
      not: ["input ip udp sport=54", "input ip tcp sport=53", "input ip udp fragment"],
      unknown: ["input ip udp dport=53"],
    },
  ],
  "later-fragment": [
    {
      match: { is: "later-fragment", version: 4 },
      holds: ["forward ip udp fragment", "forward ip fragment"],
      not: ["forward ip udp whole", "forward ip6 udp fragment", "forward ip6"],
      unknown: ["forward ip udp", "forward ip udp dport=53"],
    },
    {
      match: { is: "later-fragment", version: 6 },
      holds: ["input ip6 tcp fragment"],
      not: ["input ip6 tcp whole", "input ip tcp fragment"],
      unknown: ["input ip6"],
    },
  ],
  connection: [
    { match: { is: "connection", state: "new" }, holds: ["input ip new"], not: ["input ip established"], unknown: ["input ip"] },
    {
      match: { is: "connection", state: "unknown" },
      holds: ["input ip new", "input ip invalid", "input ip untracked"],
      not: ["input ip established", "input ip related"],
      unknown: ["input ip"],
    },
    {
      match: { is: "connection", state: "established" },
      holds: ["input ip established"],
      not: ["input ip new", "input ip related"],
      unknown: ["input ip"],
    },
    { match: { is: "connection", state: "related" }, holds: ["input ip related"], not: ["input ip new"], unknown: ["input ip"] },
    {
      match: { is: "connection", state: "open" },
      holds: ["input ip established", "input ip related"],
      not: ["input ip new", "input ip untracked"],
      unknown: ["input ip"],
    },
    {
      match: { is: "connection", state: "answer" },
      holds: ["output ip established answer"],
      not: ["output ip established question", "output ip new", "output ip untracked"],
      unknown: ["output ip established", "output ip"],
    },
    {
      match: { is: "connection", state: "question" },
      holds: ["output ip established question", "output ip new"],
      not: ["output ip established answer", "output ip untracked", "output ip invalid"],
      unknown: ["output ip established", "output ip"],
    },
  ],
  remembered: [
    {
      match: { is: "remembered", label: "begun" },
      holds: ["output ip begun"],
      not: ["output ip refused"],
      unknown: ["output ip"],
    },
    {
      match: { is: "remembered", label: "ending" },
      holds: ["forward ip ending"],
      not: ["forward ip lasting"],
      unknown: ["forward ip"],
    },
  ],
  tcp: [
    {
      match: { is: "tcp", part: "opening" },
      holds: ["input ip tcp opening"],
      not: ["input ip tcp later", "input ip udp"],
      unknown: ["input ip tcp", "input ip opening"],
    },
    {
      match: { is: "tcp", part: "later" },
      holds: ["input ip tcp later"],
      not: ["input ip tcp opening", "input ip udp"],
      unknown: ["input ip tcp"],
    },
    {
      match: { is: "tcp", part: "data" },
      holds: ["input ip tcp data", "input ip udp data"],
      not: ["input ip tcp empty", "input ip icmp"],
      unknown: ["input ip tcp"],
    },
  ],
  owned: [
    {
      match: { is: "owned" },
      holds: ["output ip uid=0", "output ip uid=1000"],
      not: ["output ip unowned"],
      unknown: ["output ip"],
    },
    {
      match: { is: "owned", uid: 0 },
      holds: ["output ip uid=0"],
      not: ["output ip uid=1", "output ip unowned"],
      unknown: ["output ip"],
    },
    {
      match: { is: "owned", notUid: 0 },
      holds: ["output ip uid=1"],
      not: ["output ip uid=0", "output ip unowned"],
      unknown: ["output ip"],
    },
  ],
  mac: [
    {
      match: { is: "mac", addresses: ["02:00:5e:00:53:01", "02:00:5e:00:53:02"], set: "neighbours" },
      holds: ["input ip mac=02:00:5e:00:53:02", "forward ip6 mac=02:00:5e:00:53:01"],
      not: ["input ip mac=02:00:5e:00:53:03", "output ip"],
      unknown: ["input ip", "forward ip6 in=eth0"],
    },
  ],
  account: [
    {
      match: { is: "account", of: "users", name: "root", set: "who" },
      holds: ["output ip uid=0"],
      not: ["output ip uid=1000", "output ip unowned"],
      unknown: ["output ip"],
    },
    {
      match: { is: "account", of: "users", name: "maggie", set: "who" },
      holds: [],
      not: ["output ip unowned"],
      unknown: ["output ip uid=1000", "output ip uid=0", "output ip"],
    },
    {
      match: { is: "account", of: "groups", name: "root", set: "who" },
      holds: [],
      not: ["output ip unowned"],
      unknown: ["output ip uid=0", "output ip"],
    },
  ],
  rate: [
    {
      match: { is: "rate", version: 4, set: "seen", connections: 10, per: "minute", burst: 5 },
      holds: [],
      not: ["input ip6 tcp from=2001:db8::1"],
      unknown: ["input ip tcp from=192.0.2.1 new"],
    },
  ],
  time: [
    {
      // 2026-11-30 is a Monday.
      match: { is: "time", span: { days: [1, 5], minutes: [8 * 60, 17 * 60] } },
      holds: ["output ip time=2026-11-30T08:00:00Z", "output ip time=2026-12-04T16:59:59.9Z"],
      not: ["output ip time=2026-11-30T17:00:00Z", "output ip time=2026-11-29T12:00:00Z"],
      unknown: ["output ip"],
    },
    {
      match: { is: "time", span: { dates: ["2026-11-30 00:00:00", "2026-11-30 23:59:59"] } },
      holds: ["output ip time=2026-11-30T00:00:00Z", "output ip time=2026-11-30T23:59:59Z"],
      not: ["output ip time=2026-11-29T23:59:59Z", "output ip time=2026-12-01T00:00:00Z"],
      unknown: ["output ip"],
    },
  ],
  until: [
    {
      match: { is: "until", end: Date.UTC(2026, 11, 24, 17) / 1000 },
      holds: ["input ip time=2026-12-24T16:59:59.9Z", "forward ip6 time=1970-01-01T00:00:00Z"],
      not: ["input ip time=2026-12-24T17:00:00Z", "output ip time=2027-01-01T00:00:00Z"],
      unknown: ["input ip"],
    },
    {
      match: { is: "until", since: Date.UTC(2026, 10, 29) / 1000, end: Date.UTC(2026, 11, 24, 17) / 1000 },
      holds: ["input ip time=2026-11-29T00:00:00Z"],
      not: ["input ip time=2026-11-28T23:59:59.9Z", "input ip time=2026-12-24T17:00:00Z"],
      unknown: ["input ip"],
    },
  ],
};

describe.each(Object.entries(MATCHES))("%s", (_is, cases) => {
  test.each(
    cases.map((one) => [
      JSON.stringify(one.match, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
      one,
    ]),
  )("%s", (_text, { match, holds, not, unknown }) => {
    const answers = (texts: readonly string[]) => texts.map((text) => [text, holdsFor(match, packet(text), SETS)]);
    const all = (texts: readonly string[], answer: boolean | undefined) => texts.map((text) => [text, answer]);
    expect(answers(holds)).toEqual(all(holds, true));
    expect(answers(not)).toEqual(all(not, false));
    expect(answers(unknown)).toEqual(all(unknown, undefined));
  });
});

const drop = (args: object): Compiled => ({ object: "drop", fragments: compileDefaultDrop("drop", defaultDrop.parse(args)) });
const denies = (args: object, object = "deny"): Compiled => ({ object, fragments: compileDeny(object, deny.parse(args)) });
const allows = (args: object, object = "allow"): Compiled => ({ object, fragments: compileAllow(object, allow.parse(args)) });
const setOf = (name: string, ...addresses: string[]): Compiled => ({
  object: "set",
  fragments: compileAddressSet("set", addressSet.parse({ name, addresses })),
});

/** "drop by drop: 91 drop the rest". */
function said(resources: readonly Compiled[], text: string, others: "none" | "unknown" = "none"): string {
  const { verdict, rule } = judge(resources, packet(text), others);
  return rule === undefined ? verdict : `${verdict} by ${rule.object}: ${rule.id}`;
}

const SSH = "input ip tcp from=198.51.100.3 to=192.0.2.1 dport=22 in=eth0 new opening to-us";
const SHOP = "input ip tcp from=203.0.113.4 to=192.0.2.1 dport=443 in=eth0 new opening to-us";
const INPUT = { hook: "input", management: { sources: ["198.51.100.0/24", "2001:db8::/32"] } };

describe("a default drop", () => {
  const input = drop({ ...INPUT, allow: [{ protocol: "tcp", ports: [443], from: ["203.0.113.4", "203.0.113.9"] }] });
  test.each([
    [SSH, "accept by drop: 15 pass management, IPv4"],
    [SSH.replace("dport=22", "dport=23"), "drop by drop: 91 drop the rest"],
    [SSH.replace("198.51.100.3", "198.51.101.3"), "drop by drop: 91 drop the rest"],
    ["input ip6 tcp from=2001:db8::9 dport=22 in=eth0 new opening", "accept by drop: 15 pass management, IPv6"],
    [SHOP, "accept by drop: 20 allow 001"],
    [SHOP.replace("203.0.113.4", "203.0.113.5"), "drop by drop: 91 drop the rest"],
    [
      SHOP.replace("203.0.113.4", "203.0.113.5").replace("new opening", "established lasting later"),
      "accept by drop: 10 pass what belongs to open connections",
    ],
    [
      SHOP.replace("203.0.113.4", "203.0.113.5").replace("new opening", "established question ending later"),
      "drop by drop: 91 drop the rest",
    ],
    ["input ip udp dport=443 in=lo new", "accept by drop: 01 pass loopback"],
    // The device matters for loopback alone, and is not known here.
    ["input ip udp dport=443 new", "unknown"],
    ["input ip6 icmpv6 type=135 hops=255 in=eth0 untracked", "accept by drop: 04 pass neighbour and router discovery"],
    ["input ip6 icmpv6 type=135 hops=64 in=eth0 untracked", "drop by drop: 91 drop the rest"],
    // Nothing of it stands at other hooks.
    [SHOP.replace("input", "forward"), "accept"],
    ["output ip tcp dport=25 new opening", "accept"],
  ])("%s: %s", (text, expected) => expect(said([input], text)).toBe(expected));

  test("rejects, or only rehearses", () => {
    const reject = drop({ ...INPUT, final: "reject" });
    expect(said([reject], SHOP)).toBe("reject by drop: 91 reset TCP");
    expect(said([reject], "input ip udp dport=9 in=eth0 new")).toBe("reject by drop: 92 refuse the rest");
    expect(said([drop({ ...INPUT, mode: "log" })], SHOP)).toBe("accept");
  });

  test("on output lets answers out", () => {
    const answer = "output ip tcp from=192.0.2.1 to=203.0.113.4 sport=22 dport=50000 out=eth0 established answer later from-us";
    const output = { ...INPUT, hook: "output" };
    expect(said([drop(output)], answer)).toBe("accept by drop: 10 pass what belongs to open connections");
    expect(said([drop({ ...output, established: false })], answer)).toBe("drop by drop: 91 drop the rest");
    expect(said([drop({ ...output, established: false })], answer.replace("203.0.113.4", "198.51.100.3"))).toBe(
      "accept by drop: 15 pass management, IPv4",
    );
  });
});

describe("several resources", () => {
  test("a deny comes before all that accepts, whichever comes first, and cuts what is open", () => {
    const both = [
      drop({ ...INPUT }),
      allows({ hook: "input", protocol: "tcp" }),
      denies({ hook: "input", from: ["203.0.113.0/24"] }),
    ];
    expect(said(both, SHOP)).toBe("drop by deny: 20 deny");
    expect(said(both, SHOP.replace("new opening", "established later"))).toBe("drop by deny: 20 deny");
    expect(said(both, SSH)).toBe("accept by drop: 15 pass management, IPv4");
    expect(said(both.slice(0, 2), SHOP)).toBe("accept by allow: 20 allow");
  });

  test("phases of allows", () => {
    const guest = allows({ hook: "input", phase: "guest", service: "https" }, "guest");
    const host = allows({ hook: "input", service: "https" }, "host");
    expect(said([drop(INPUT), host, guest], SHOP)).toBe("accept by guest: 20 allow");
  });

  describe("connections that end with what has opened them", () => {
    const forward = drop({ hook: "forward" });
    const args = { hook: "forward", protocol: "udp", from: ["203.0.113.0/28"], in: "eth0", out: "eth1" };
    const ends = allows({ ...args, ports: [53, 123], until: "2026-12-24T17:00:00Z", running: "cut" }, "ends");
    const also = allows({ ...args, ports: [123] }, "also");
    const [before, behind] = ["time=2026-12-24T16:59:59Z", "time=2026-12-24T17:00:00Z"];
    const from = (port: number) => `forward ip udp from=203.0.113.4 to=192.0.2.9 dport=${port} in=eth0 out=eth1`;
    const back = (port: number) => `forward ip udp from=192.0.2.9 to=203.0.113.4 sport=${port} in=eth1 out=eth0`;
    test.each([
      [`${from(53)} new ${before}`, "accept by ends: 20 allow.001"],
      [`${from(53)} established question ending ${before}`, "accept by ends: 20 allow.001"],
      [`${back(53)} established answer ending ${before}`, "accept by ends: 20 allow.001 answers"],
      [`${back(54)} established answer ending ${before}`, "drop by drop: 91 drop the rest"],
      [`${from(53)} new ${behind}`, "drop by drop: 91 drop the rest"],
      [`${from(53)} established question ending ${behind}`, "drop by drop: 91 drop the rest"],
      [`${back(53)} established answer ending ${behind}`, "drop by drop: 91 drop the rest"],
      [`${back(53)} established answer lasting ${behind}`, "accept by drop: 10 pass what belongs to open connections"],
      // Another one allows it, so that it lasts.
      [`${from(123)} new ${before}`, "accept by also: 20 allow"],
      [`${from(123)} established question ending ${behind}`, "accept by also: 20 allow"],
    ])("%s: %s", (text, expected) => expect(said([forward, ends, also], text)).toBe(expected));
  });

  test("an allow alone is asked by nobody", () => {
    expect(said([allows({ hook: "input", service: "dns" })], SHOP)).toBe("accept");
  });

  test("a rehearsed deny logs and goes on", () => {
    expect(said([denies({ hook: "input", from: ["203.0.113.4"], mode: "log" })], SHOP)).toBe("accept");
  });
});

describe("sets of others", () => {
  const gate = [drop(INPUT), allows({ hook: "input", service: "https", from: { set: "friends" } })];
  const shut = [denies({ hook: "input", from: { set: "suspects" } })];

  test("hold what those say who declare them", () => {
    expect(said([...gate, setOf("friends", "203.0.113.0/29")], SHOP)).toBe("accept by allow: 20 allow.002");
    expect(said([...gate, setOf("friends", "203.0.113.4")], SHOP)).toBe("accept by allow: 20 allow.001");
    expect(said([...gate, setOf("friends", "203.0.113.5", "2001:db8::1")], SHOP)).toBe("drop by drop: 91 drop the rest");
    expect(said([...shut, setOf("suspects", "203.0.113.4")], SHOP)).toBe("drop by deny: 20 deny.001");
    expect(said([...shut, setOf("suspects")], SHOP)).toBe("accept");
  });

  test("hold nobody for an allow and everybody for a deny, where nobody declares them", () => {
    expect(said(gate, SHOP)).toBe("drop by drop: 91 drop the rest");
    expect(said(shut, SHOP)).toBe("drop by deny: 20 deny.001");
  });

  test("hold everybody for a deny but who passes where the table does not load, where nobody declares them", () => {
    const both = [drop(INPUT), ...shut, denies({ hook: "output", from: { set: "suspects" } }, "out")];
    expect(said(both, SSH)).toMatch(/^accept by drop: 15 pass management/);
    expect(said(both, SSH.replace("dport=22", "dport=23"))).toBe("drop by deny: 20 deny.001");
    expect(said(both, SHOP)).toBe("drop by deny: 20 deny.001");
    // Its answers, though nothing else judges what the host sends.
    const answer = "output ip tcp from=192.0.2.1 to=198.51.100.3 sport=22 out=eth0";
    expect(said(both, `${answer} later`)).toBe("accept");
    expect(said(both, `${answer} opening`)).toBe("drop by out: 20 deny.001");
    expect(said(both, answer)).toBe("unknown");
    // What else is denied is denied to him, too; and a rehearsal that lets everybody pass is no reason to.
    expect(said([...both, denies({ hook: "input", from: ["198.51.100.0/24"] }, "other")], SSH)).toBe("drop by other: 20 deny");
    const rehearsal = [drop({ ...INPUT, mode: "log" }), ...shut];
    expect(said(rehearsal, SSH)).toMatch(/^accept/);
    expect(said(rehearsal, SHOP)).toBe("drop by deny: 20 deny.001");
  });

  test("are not known where there may be others, unless it does not matter", () => {
    expect(said(gate, SHOP, "unknown")).toBe("unknown");
    expect(said(shut, SHOP, "unknown")).toBe("unknown");
    expect(said(gate, SSH.replace("dport=22", "dport=23"), "unknown")).toBe("drop by drop: 91 drop the rest");
    expect(said([...gate, setOf("friends", "203.0.113.4")], SHOP, "unknown")).toBe("accept by allow: 20 allow.001");
    const alsoByName = denies({ hook: "input", from: ["203.0.113.0/24"] }, "other");
    expect(said([...shut, alsoByName], SHOP, "unknown")).toBe("drop by other: 20 deny");
  });
});

describe("chains", () => {
  const rule = (id: string, verdict: Rule["verdict"], ...matches: Match[]): Rule => ({ id, verdict, matches });
  const tcp: Match = { is: "protocol", protocol: "tcp" };
  const owned: Match = { is: "owned" };
  const begun: Match = { is: "remembered", label: "begun" };
  const made = (rules: readonly Rule[], further: readonly Rule[] = [], key?: string, object = "made"): Compiled => ({
    object,
    fragments: [
      {
        layer: "ip",
        attachments: [{ to: "postrouting", ...(key === undefined ? {} : { key }), chain: object }],
        chains: [
          { name: object, rules },
          { name: "further", rules: further },
        ],
      },
    ],
  });
  const there: Rule["verdict"] = { is: "goto", chain: "further" };

  test.each([
    ["goto, and what drops there", made([rule("1", there, tcp)], [rule("2", { is: "drop" })]), "drop by made: 2"],
    ["goto comes back to nowhere", made([rule("1", there, tcp), rule("2", { is: "drop" })]), "accept"],
    [
      "goto that does not hold",
      made([rule("1", there, { is: "protocol", protocol: "udp" }), rule("2", { is: "drop" })]),
      "drop by made: 2",
    ],
    ["goto of which nobody knows", made([rule("1", there, owned), rule("2", { is: "drop" })]), "unknown"],
    ["goto of which it does not matter", made([rule("1", there, owned), rule("2", { is: "accept" })]), "accept"],
    ["return", made([rule("1", { is: "return" }, tcp), rule("2", { is: "drop" })]), "accept"],
    ["return of which nobody knows", made([rule("1", { is: "return" }, owned), rule("2", { is: "drop" })]), "unknown"],
    ["log", made([rule("1", { is: "log", prefix: "x" }), rule("2", { is: "drop" })]), "drop by made: 2"],
    ["remember", made([rule("1", { is: "remember", label: "begun" }), rule("2", { is: "drop" }, begun)]), "drop by made: 2"],
    [
      "remember of which nobody knows",
      made([rule("1", { is: "remember", label: "begun" }, owned), rule("2", { is: "drop" }, begun)]),
      "unknown",
    ],
    ["remember behind goto", made([rule("1", there, owned)], [rule("2", { is: "remember", label: "begun" })]), "accept"],
    ["ask where nobody answers", made([rule("1", { is: "ask", map: "users" }), rule("2", { is: "drop" })]), "drop by made: 2"],
    ["ask behind a drop", made([rule("1", { is: "drop" }, tcp), rule("2", { is: "ask", map: "users" })]), "drop by made: 1"],
    ["the device by which it leaves", made([rule("1", { is: "drop" })], [], "eth0"), "drop by made: 1"],
    ["another device", made([rule("1", { is: "drop" })], [], "eth1"), "accept"],
  ])("%s: %s", (_what, one, expected) => expect(said([one], "postrouting ip tcp out=eth0")).toBe(expected));

  test("of others are asked behind a return, and may be asked where nobody knows the device", () => {
    const returns = made([rule("1", { is: "return" })], [], undefined, "first");
    const drops = made([rule("2", { is: "drop" })], [], undefined, "second");
    expect(said([returns, drops], "postrouting ip tcp out=eth0")).toBe("drop by second: 2");
    expect(said([made([rule("1", { is: "drop" })], [], "eth0")], "postrouting ip tcp")).toBe("unknown");
    // What is for one device comes first.
    const accepts = made([rule("1", { is: "accept" })], [], "eth0", "first");
    expect(said([drops, accepts], "postrouting ip tcp out=eth0")).toBe("accept by first: 1");
  });

  test("an OutputGuard is looked at behind what a default drop has accepted", () => {
    const guard = {
      object: "guard",
      fragments: compileOutputGuard("guard", outputGuard.parse({ ports: [5900], protocol: "tcp" })),
    };
    const output = drop({ ...INPUT, hook: "output", allow: [{ protocol: "tcp", ports: [5900, 443] }] });
    const to = (port: number) => `output ip tcp to=203.0.113.4 dport=${port} out=eth0 new opening to-others uid=1000`;
    expect(said([guard, output], to(443))).toBe("accept by drop: 20 allow 001.001");
    expect(said([guard, output], to(5900))).toBe("drop by guard: 91 drop leaks");
    // Others may have opened it for the user.
    expect(said([guard, output], to(5900), "unknown")).toBe("unknown");
    expect(said([output], to(5900))).toBe("accept by drop: 20 allow 001.002");
  });

  test("a user's chain may open what a guard or a default drop asks it about, and nothing else", () => {
    const output = drop({ ...INPUT, hook: "output" });
    const user = {
      object: "user",
      fragments: compileUserOutputChain(
        "user",
        userOutputChain.parse({ user: "maggie", allow: [{ to: "203.0.113.4", ports: [5900], out: "eth0" }] }),
      ),
    };
    const to = (port: number, out: string, uid: string) =>
      `output ip tcp to=203.0.113.4 dport=${port} out=${out} new opening to-others ${uid}`;
    expect(said([output], to(5900, "eth0", "uid=1000"))).toBe("drop by drop: 91 drop the rest");
    // Whose number it is, only the host knows.
    expect(said([output, user], to(5900, "eth0", "uid=1000"))).toBe("unknown");
    for (const [port, out, uid] of [
      [5901, "eth0", "uid=1000"],
      [5900, "eth1", "uid=1000"],
      [5900, "eth0", "unowned"],
    ] as const)
      expect(said([output, user], to(port, out, uid))).toBe("drop by drop: 91 drop the rest");
    expect(said([output], to(5900, "eth0", "unowned"), "unknown")).toBe("drop by drop: 91 drop the rest");
  });
});
