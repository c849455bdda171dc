import { addressSet, compileAddressSet } from "../../dist/core/netfilter/address-set";
import { allow, compileAllow } from "../../dist/core/netfilter/allow";
import { compileDefaultDrop, defaultDrop } from "../../dist/core/netfilter/default-drop";
import { compileDeny, deny } from "../../dist/core/netfilter/deny";
import { type Compiled, judge } from "../../dist/core/netfilter/judge";
import type { Packet } from "../../dist/core/netfilter/packet";
import { type LabHost, startHost } from "../../tools/lab";
import { packet } from "../unit/packet";
import { accessOf, closeConnections, Driven, type Props } from "./drive";
import { frameOf, sendRawScript, sendScript } from "./raw-packets";

// What judge says of a packet, and what the kernel does with the very same one.

// Of this file alone: hosts of other tests are on the same link.
const HERE6 = "2001:db8:6::3";
const MANAGEMENT = { sources: ["198.18.0.0/16", "2001:db8:7::/48"] };

afterAll(closeConnections);

/** A host with ways to where the packets say that they come from. */
async function started(): Promise<LabHost> {
  const host = await startHost();
  const ways = ["2001:db8:5::/48", "2001:db8:7::/48"].map((network) => `ip route add ${network} via 2001:db8:6::2`);
  await host.run([`ip address add ${HERE6}/64 dev eth0 nodad`, ...ways].join("; "));
  return host;
}

/** What stands on the host, as the program has it and as core compiles it. */
type Resource = readonly [kind: "DefaultDrop" | "Allow" | "Deny" | "AddressSet", name: string, args: Props];

function compiled([kind, object, args]: Resource): Compiled {
  switch (kind) {
    case "DefaultDrop":
      return { object, fragments: compileDefaultDrop(object, defaultDrop.parse(args)) };
    case "Allow":
      return { object, fragments: compileAllow(object, allow.parse(args)) };
    case "Deny":
      return { object, fragments: compileDeny(object, deny.parse(args)) };
    case "AddressSet":
      return { object, fragments: compileAddressSet(object, addressSet.parse(args)) };
  }
}

async function during(host: LabHost, resources: readonly Resource[], work: () => Promise<void>): Promise<void> {
  const made: Driven[] = [];
  try {
    for (const [kind, name, args] of resources) made.push(await Driven.create(kind, name, { ...accessOf(host), ...args }));
    await work();
  } finally {
    for (const one of made.toReversed()) await one.delete();
  }
}

/** How packets come to a hook, and by what each of them is known again there. */
interface Way {
  readonly hook: "input" | "forward" | "output";
  /** What is the same of all packets, in words. */
  readonly common: string;
  readonly known: { readonly type: string; readonly field: string; by(index: number): string };
  readonly send: (packets: readonly Packet[]) => Promise<unknown>;
}

/** From outside, each from a card of its own. `about`: what ICMP errors are about that are related to something. */
function arriving(host: LabHost, hook: "input" | "forward", common: string, about?: Packet): Way {
  const by = (index: number) => `02:db:00:00:01:${index.toString(16).padStart(2, "0")}`;
  return {
    hook,
    common: `from-others in=eth0 ${common}`,
    known: { type: "ether_addr", field: "ether saddr", by },
    send: async (packets) => {
      const to = (await host.run("cat /sys/class/net/eth0/address")).stdout.trim();
      const frames = packets.map((one, index) =>
        frameOf(one, { from: by(index), to }, one.connection === "related" ? about : undefined),
      );
      await host.outside(sendScript("labsw", frames));
    },
  };
}

/** By a program of root's on the host, each with a mark of its own. */
function leaving(host: LabHost): Way {
  const markOf = (index: number) => 0xdb00 + index;
  return {
    hook: "output",
    common: "from-us to-others uid=0 out=eth0",
    known: { type: "mark", field: "meta mark", by: (index) => `0x${markOf(index).toString(16).padStart(8, "0")}` },
    send: (packets) => host.run(sendRawScript(packets.map((one, index) => ({ packet: one, mark: markOf(index) })))),
  };
}

/** What becomes of the packets at the hook, between a chain before our rules and one behind them. */
async function met(host: LabHost, { hook, known, send }: Way, packets: readonly Packet[]): Promise<string[]> {
  const chain = (name: string, priority: number) =>
    `set ${name} { type ${known.type}; flags dynamic; size 1000; }
     chain ${name} {
       type filter hook ${hook} priority ${priority}
       add @${name} { ${known.field} }
     }`;
  await host.run(`nft -f - <<'END'\ntable inet watch {\n${chain("arrived", -2)}\n${chain("passed", 20)}\n}\nEND`);
  try {
    await send(packets);
    await host.run("sleep 0.5");
    const { stdout } = await host.run("nft list set inet watch arrived; echo ---; nft list set inet watch passed");
    const [arrived = "", passed = ""] = stdout.split("---");
    return packets.map((_, index) => {
      if (!arrived.includes(known.by(index))) return "did not arrive";
      return passed.includes(known.by(index)) ? "accept" : "drop";
    });
  } finally {
    await host.run("nft delete table inet watch");
  }
}

/** Sends what the texts say, and compares what becomes of it with what is judged. Returns how it is judged. */
async function compare(host: LabHost, way: Way, resources: readonly Resource[], texts: readonly string[]): Promise<string[]> {
  const packets = texts.map((text, index) => {
    const [version = "", ...rest] = text.split(" ");
    const port = rest.includes("tcp") || rest.includes("udp") ? `sport=${40_000 + index} ` : "";
    const whole = rest.includes("fragment") ? "" : "whole ";
    return packet(`${way.hook} ${version} hops=64 ${port}${whole}${way.common} ${rest.join(" ")}`);
  });
  const judged = packets.map((one) => judge(resources.map(compiled), one).verdict);
  const seen = await met(host, way, packets);
  expect(texts.map((text, index) => [text, seen[index]])).toEqual(texts.map((text, index) => [text, judged[index]]));
  return judged;
}

const FRIENDS = ["203.0.113.4", "203.0.113.16/29", "2001:db8:5:1::/64"];

test("what is for the host: a default drop, allows, denies and sets", async () => {
  const resources: Resource[] = [
    [
      "DefaultDrop",
      "input",
      {
        hook: "input",
        management: MANAGEMENT,
        basics: { icmpErrors: false, echo: false },
        allow: [
          { protocol: "tcp", ports: [443, "8000-8010", 25] },
          { protocol: "udp", ports: [53], from: ["203.0.113.0/29"] },
          { protocol: "esp" },
          { service: "ike" },
          { protocol: "icmp", icmpTypes: [8, 13] },
          { protocol: "tcp", ports: [7001], from: ["203.0.113.2", "203.0.113.9", "2001:db8:5::2"], in: "eth0" },
          { protocol: "tcp", ports: [7002], in: "eth9" },
          { protocol: "udp", sourcePorts: [123] },
          { protocol: "tcp", ports: [9000], to: [`${HERE6}/128`] },
          { protocol: "icmpv6", from: ["2001:db8:5::/64"] },
        ],
      },
    ],
    ["AddressSet", "friends", { name: "friends", addresses: FRIENDS }],
    ["Allow", "friends", { hook: "input", phase: "guest", protocol: "tcp", ports: [7100], from: { set: "friends" } }],
    ["Allow", "nobody", { hook: "input", protocol: "udp", ports: [7200], from: { set: "nobody" } }],
    ["Allow", "vpn", { hook: "input", phase: "border", service: "wireguard", description: "the tunnel" }],
    ["Deny", "suspicious", { hook: "input", from: ["203.0.113.66", "203.0.113.80/28", "2001:db8:5:bad::/64"], log: true }],
    ["Deny", "redirects", { hook: "input", protocol: "icmpv6", icmpTypes: [137] }],
    ["Deny", "one-port", { hook: "input", protocol: "tcp", ports: [8005] }],
    // Nobody declares the set, so that everybody is in it but the administrator, on his port alone.
    ["Deny", "logins", { hook: "input", protocol: "tcp", ports: [22, 8002], from: { set: "suspects" } }],
    ["Deny", "mail", { hook: "input", service: "smtp", from: { set: "suspects" } }],
    ["Deny", "rehearsal", { hook: "input", from: ["203.0.113.2"], mode: "log" }],
    ["Deny", "friends-of-friends", { hook: "input", protocol: "udp", ports: [53], from: { set: "friends" } }],
  ];
  const host = await started();
  const before = await host.fingerprint();
  const [us, us6] = [`to=${host.address}`, `to=${HERE6}`];
  const opens = "new opening";
  await during(host, resources, async () => {
    // Three connections of the host's own, of which answers come.
    const own = packet(`output ip udp from=${host.address} to=203.0.113.2 sport=7300 dport=7301`);
    for (const to of ["203.0.113.2", "203.0.113.66", "2001:db8:5::2"])
      await host.run(
        `perl -e 'use Socket qw(:all); my ($e, @a) = getaddrinfo("${to}", 7301, { socktype => SOCK_DGRAM });
        my ($f, @b) = getaddrinfo("${to.includes(":") ? HERE6 : host.address}", 7300, { socktype => SOCK_DGRAM });
        socket(S, $a[0]{family}, SOCK_DGRAM, 17) && bind(S, $b[0]{addr}) && defined(send(S, "x", 0, $a[0]{addr})) or die $!'`,
      );
    const judged = await compare(host, arriving(host, "input", "to-us", own), resources, [
      // TCP
      `ip tcp from=203.0.113.2 ${us} dport=443 ${opens}`,
      `ip tcp from=203.0.113.2 ${us} dport=444 ${opens}`,
      `ip6 tcp from=2001:db8:5::2 ${us6} dport=443 ${opens}`,
      `ip tcp from=203.0.113.3 ${us} dport=8000 ${opens}`,
      `ip tcp from=203.0.113.3 ${us} dport=8010 ${opens}`,
      `ip tcp from=203.0.113.3 ${us} dport=8011 ${opens}`,
      `ip tcp from=203.0.113.3 ${us} dport=8005 ${opens}`,
      `ip6 tcp from=2001:db8:5::3 ${us6} dport=8005 ${opens}`,
      `ip tcp from=203.0.113.2 ${us} dport=25 ${opens}`,
      `ip6 tcp from=2001:db8:5::2 ${us6} dport=25 ${opens}`,
      `ip tcp from=203.0.113.2 ${us} dport=7001 ${opens}`,
      `ip tcp from=203.0.113.9 ${us} dport=7001 ${opens}`,
      `ip tcp from=203.0.113.3 ${us} dport=7001 ${opens}`,
      `ip6 tcp from=2001:db8:5::2 ${us6} dport=7001 ${opens}`,
      `ip6 tcp from=2001:db8:5::3 ${us6} dport=7001 ${opens}`,
      `ip tcp from=203.0.113.2 ${us} dport=7002 ${opens}`,
      `ip6 tcp from=2001:db8:5::2 ${us6} dport=9000 ${opens}`,
      `ip tcp from=203.0.113.2 ${us} dport=9000 ${opens}`,
      // Packets of no connection that anybody has seen begin.
      `ip tcp from=203.0.113.3 ${us} dport=443 new later`,
      `ip tcp from=203.0.113.3 ${us} dport=445 new later`,
      `ip tcp from=203.0.113.3 ${us} dport=446 invalid later`,
      // The administrator
      `ip tcp from=198.18.77.1 ${us} dport=22 ${opens}`,
      `ip tcp from=203.0.113.2 ${us} dport=22 ${opens}`,
      `ip tcp from=198.18.77.1 ${us} dport=23 ${opens}`,
      `ip6 tcp from=2001:db8:7::1 ${us6} dport=22 ${opens}`,
      `ip6 tcp from=2001:db8:5::1 ${us6} dport=22 ${opens}`,
      // Sets
      `ip tcp from=203.0.113.4 ${us} dport=7100 ${opens}`,
      `ip tcp from=203.0.113.23 ${us} dport=7100 ${opens}`,
      `ip tcp from=203.0.113.24 ${us} dport=7100 ${opens}`,
      `ip6 tcp from=2001:db8:5:1::9 ${us6} dport=7100 ${opens}`,
      `ip6 tcp from=2001:db8:5:2::9 ${us6} dport=7100 ${opens}`,
      `ip udp from=203.0.113.2 ${us} dport=7200 new`,
      // Whom somebody suspects
      `ip tcp from=203.0.113.66 ${us} dport=443 ${opens}`,
      `ip tcp from=203.0.113.95 ${us} dport=443 ${opens}`,
      `ip tcp from=203.0.113.96 ${us} dport=443 ${opens}`,
      `ip6 tcp from=2001:db8:5:bad::1 ${us6} dport=443 ${opens}`,
      `ip esp from=203.0.113.66 ${us} new`,
      // UDP
      `ip udp from=203.0.113.2 ${us} dport=53 new`,
      `ip udp from=203.0.113.4 ${us} dport=53 new`,
      `ip udp from=203.0.113.8 ${us} dport=53 new`,
      `ip6 udp from=2001:db8:5::2 ${us6} dport=53 new`,
      `ip udp from=203.0.113.9 ${us} sport=123 dport=5000 new`,
      `ip udp from=203.0.113.9 ${us} sport=124 dport=5000 new`,
      `ip udp from=203.0.113.9 ${us} dport=500 new`,
      `ip6 udp from=2001:db8:5::9 ${us6} dport=4500 new`,
      `ip udp from=203.0.113.9 ${us} dport=51820 new`,
      `ip udp from=203.0.113.9 ${us} dport=51821 new`,
      `ip udp from=203.0.113.9 ${us} sport=67 dport=68 new`,
      `ip6 udp from=2001:db8:5::9 ${us6} sport=547 dport=546 new`,
      `ip6 udp from=2001:db8:5::9 ${us6} sport=67 dport=68 new`,
      // Answers, and an error about what the host has sent
      `ip udp from=203.0.113.2 ${us} sport=7301 dport=7300 established answer`,
      `ip udp from=203.0.113.2 ${us} sport=7302 dport=7300 new`,
      `ip udp from=203.0.113.66 ${us} sport=7301 dport=7300 established answer`,
      `ip6 udp from=2001:db8:5::2 ${us6} sport=7301 dport=7300 established answer`,
      `ip icmp from=203.0.113.50 ${us} type=11 related`,
      `ip icmp from=203.0.113.50 ${us} type=11 invalid`,
      // ICMP, and other protocols
      `ip icmp from=203.0.113.2 ${us} type=8 new`,
      `ip icmp from=203.0.113.2 ${us} type=13 new`,
      `ip icmp from=203.0.113.2 ${us} type=17 new`,
      `ip icmp from=203.0.113.2 ${us} type=3 invalid`,
      `ip6 icmpv6 from=2001:db8:5::2 ${us6} type=128 new`,
      `ip6 icmpv6 from=2001:db8:5:3::2 ${us6} type=128 new`,
      `ip6 icmpv6 from=2001:db8:5:3::2 ${us6} type=2 invalid`,
      `ip6 icmpv6 from=2001:db8:5:3::2 ${us6} type=135 hops=255 untracked`,
      `ip6 icmpv6 from=2001:db8:5:3::2 ${us6} type=135 hops=254 untracked`,
      `ip6 icmpv6 from=2001:db8:5:3::2 ${us6} type=131 hops=1 untracked`,
      `ip6 icmpv6 from=2001:db8:5::2 ${us6} type=137 hops=255 untracked`,
      `ip esp from=203.0.113.2 ${us} new`,
      `ip6 esp from=2001:db8:5::2 ${us6} new`,
      `ip ah from=203.0.113.2 ${us} new`,
      `ip other from=203.0.113.2 ${us} new`,
    ]);
    // Neither is always said.
    for (const verdict of ["accept", "drop"]) expect(judged.filter((one) => one === verdict).length).toBeGreaterThan(20);
  });
  const after = await host.fingerprint();
  await host.down();
  expect(after).toBe(before);
});

test("what is forwarded: by the devices on both sides, and with nothing of connections", async () => {
  const resources: Resource[] = [
    [
      "DefaultDrop",
      "forward",
      {
        hook: "forward",
        established: false,
        allow: [
          { in: "eth0", out: "out0", service: "https" },
          { in: "out0", protocol: "udp" },
          { protocol: "tcp", ports: [7001], from: ["203.0.113.0/28"], to: ["192.0.2.16/28", "192.0.2.64"] },
        ],
      },
    ],
    ["Deny", "suspicious", { hook: "forward", to: ["192.0.2.7"], out: "out0" }],
    ["Allow", "names", { hook: "forward", service: "dns", to: ["192.0.2.53", "2001:db8:9::53"] }],
    ["AddressSet", "far", { name: "far", addresses: ["203.0.113.64/28", "2001:db8:5:4::/64"] }],
    ["Allow", "large", { hook: "forward", service: "nfs", from: ["203.0.113.0/28", "2001:db8:5::/64"], fragments: true }],
    ["Allow", "larger", { hook: "forward", protocol: "udp", ports: [500], from: { set: "far" }, fragments: true }],
    ["Allow", "echo", { hook: "forward", protocol: "icmp", icmpTypes: [8], to: ["192.0.2.80"], fragments: true }],
  ];
  const host = await started();
  await host.run("sysctl -q net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  await host.run("ip link add out0 type veth peer name end0; ip link set out0 up; ip link set end0 up");
  await host.run("ip address add 192.0.2.1/24 dev out0; ip address add 2001:db8:9::1/64 dev out0 nodad");
  await during(host, resources, async () => {
    const judged = await compare(host, arriving(host, "forward", "out=out0 to-others"), resources, [
      "ip tcp from=203.0.113.2 to=192.0.2.9 dport=443 new opening",
      "ip6 tcp from=2001:db8:5::2 to=2001:db8:9::9 dport=443 new opening",
      "ip tcp from=203.0.113.2 to=192.0.2.9 dport=80 new opening",
      "ip tcp from=203.0.113.2 to=192.0.2.7 dport=443 new opening",
      "ip udp from=203.0.113.2 to=192.0.2.9 dport=5000 new",
      "ip tcp from=203.0.113.2 to=192.0.2.16 dport=7001 new opening",
      "ip tcp from=203.0.113.2 to=192.0.2.64 dport=7001 new opening",
      "ip tcp from=203.0.113.2 to=192.0.2.65 dport=7001 new opening",
      "ip tcp from=203.0.113.16 to=192.0.2.16 dport=7001 new opening",
      "ip udp from=203.0.113.2 to=192.0.2.53 dport=53 new",
      "ip tcp from=203.0.113.2 to=192.0.2.53 dport=53 new later",
      "ip udp from=203.0.113.2 to=192.0.2.54 dport=53 new",
      "ip6 udp from=2001:db8:5::2 to=2001:db8:9::53 dport=53 new",
      "ip icmp from=203.0.113.2 to=192.0.2.9 type=8 new",
      "ip icmp from=203.0.113.2 to=192.0.2.9 type=11 invalid",
      "ip6 icmpv6 from=2001:db8:5::2 to=2001:db8:9::9 type=2 invalid",
      "ip6 icmpv6 from=2001:db8:5::2 to=2001:db8:9::9 type=128 new",
      // Fragments behind the first one, which have no ports: of these peers and protocols only, unless what is allowed names no ports
      "ip tcp from=203.0.113.2 to=192.0.2.9 dport=2049 new opening",
      "ip tcp from=203.0.113.2 to=192.0.2.9 fragment",
      "ip6 tcp from=2001:db8:5::2 to=2001:db8:9::9 fragment",
      "ip tcp from=203.0.113.16 to=192.0.2.9 fragment",
      "ip6 tcp from=2001:db8:5:1::2 to=2001:db8:9::9 fragment",
      "ip udp from=203.0.113.2 to=192.0.2.9 fragment",
      "ip tcp from=203.0.113.2 to=192.0.2.7 fragment",
      "ip udp from=203.0.113.66 to=192.0.2.9 dport=500 new",
      "ip udp from=203.0.113.66 to=192.0.2.9 fragment",
      "ip6 udp from=2001:db8:5:4::2 to=2001:db8:9::9 fragment",
      "ip tcp from=203.0.113.66 to=192.0.2.9 fragment",
      "ip udp from=203.0.113.2 to=192.0.2.53 fragment",
      "ip6 udp from=2001:db8:5::2 to=2001:db8:9::53 fragment",
      "ip icmp from=203.0.113.99 to=192.0.2.80 type=8 new",
      "ip icmp from=203.0.113.99 to=192.0.2.80 fragment",
      "ip icmp from=203.0.113.99 to=192.0.2.81 fragment",
    ]);
    for (const verdict of ["accept", "drop"]) expect(judged.filter((one) => one === verdict).length).toBeGreaterThan(10);
  });
  await host.down();
});

test("what the host sends", async () => {
  const resources: Resource[] = [
    [
      "DefaultDrop",
      "output",
      {
        hook: "output",
        management: MANAGEMENT,
        basics: { dns: { servers: ["203.0.113.53", "2001:db8:5::53"] }, echo: false },
        allow: [
          { service: "https", to: ["203.0.113.0/24", "2001:db8:5::/48"] },
          { service: "http", out: "eth0", from: [`${HERE6}/128`] },
          { protocol: "tcp", ports: ["5900-5910"], sourcePorts: ["1024-50000"] },
          { protocol: "udp", ports: [5000], out: "eth9" },
        ],
      },
    ],
    ["AddressSet", "friends", { name: "friends", addresses: FRIENDS }],
    ["Allow", "friends", { hook: "output", protocol: "tcp", ports: [7100], to: { set: "friends" } }],
    ["Deny", "suspicious", { hook: "output", to: ["203.0.113.66"] }],
    ["Deny", "mail", { hook: "output", service: "smtp" }],
  ];
  const host = await started();
  const [us, us6] = [`from=${host.address}`, `from=${HERE6}`];
  await during(host, resources, async () => {
    // Two connections from outside, which the host answers.
    const questions = ["203.0.113.2", "203.0.113.66"].map((from) =>
      packet(`input ip udp from=${from} to=${host.address} sport=7301 dport=7300 hops=64`),
    );
    await arriving(host, "input", "").send(questions);
    const judged = await compare(host, leaving(host), resources, [
      `ip tcp ${us} to=203.0.113.2 dport=443 new opening`,
      `ip tcp ${us} to=198.51.100.2 dport=443 new opening`,
      `ip tcp ${us} to=203.0.113.66 dport=443 new opening`,
      `ip6 tcp ${us6} to=2001:db8:5::2 dport=443 new opening`,
      `ip6 tcp ${us6} to=2001:db8:7::2 dport=443 new opening`,
      `ip tcp ${us} to=203.0.113.2 dport=80 new opening`,
      `ip6 tcp ${us6} to=2001:db8:5::2 dport=80 new opening`,
      `ip tcp ${us} to=203.0.113.2 dport=25 new opening`,
      `ip tcp ${us} to=203.0.113.2 dport=5910 new opening`,
      `ip tcp ${us} to=203.0.113.2 dport=5911 new opening`,
      `ip tcp ${us} to=203.0.113.2 dport=5910 sport=50001 new opening`,
      `ip udp ${us} to=203.0.113.2 dport=5000 new`,
      `ip tcp ${us} to=203.0.113.4 dport=7100 new opening`,
      `ip tcp ${us} to=203.0.113.5 dport=7100 new opening`,
      `ip6 tcp ${us6} to=2001:db8:5:1::7 dport=7100 new opening`,
      // Names, time and leases
      `ip udp ${us} to=203.0.113.53 dport=53 new`,
      `ip tcp ${us} to=203.0.113.53 dport=53 new opening`,
      `ip udp ${us} to=203.0.113.54 dport=53 new`,
      `ip6 udp ${us6} to=2001:db8:5::53 dport=53 new`,
      `ip udp ${us} to=203.0.113.54 dport=123 new`,
      `ip udp ${us} to=203.0.113.54 sport=68 dport=67 new`,
      `ip udp ${us} to=203.0.113.54 sport=67 dport=68 new`,
      // Answers to the administrator, of a connection that conntrack has not seen, and what is none
      `ip tcp ${us} to=198.18.77.1 sport=22 dport=40000 new later`,
      `ip tcp ${us} to=198.18.77.1 sport=22 dport=40001 new opening`,
      `ip tcp ${us} to=203.0.113.2 sport=22 dport=40000 new later`,
      // Other answers
      `ip udp ${us} to=203.0.113.2 sport=7300 dport=7301 established answer`,
      `ip udp ${us} to=203.0.113.66 sport=7300 dport=7301 established answer`,
      `ip udp ${us} to=203.0.113.2 sport=7300 dport=7302 new`,
      // What stays on the host
      `ip udp from=127.0.0.1 to=127.0.0.1 out=lo to-us dport=9 new`,
      `ip tcp ${us} to=${host.address} out=lo to-us dport=9 new opening`,
      // ICMP
      `ip icmp ${us} to=203.0.113.2 type=8 new`,
      `ip icmp ${us} to=203.0.113.2 type=11 invalid`,
      `ip6 icmpv6 ${us6} to=2001:db8:5::2 type=128 new`,
      `ip6 icmpv6 ${us6} to=2001:db8:6::2 type=136 hops=255 untracked`,
      `ip6 icmpv6 ${us6} to=2001:db8:6::2 type=136 hops=1 untracked`,
      `ip esp ${us} to=203.0.113.2 new`,
    ]);
    for (const verdict of ["accept", "drop"]) expect(judged.filter((one) => one === verdict).length).toBeGreaterThan(10);
  });
  await host.down();
});
