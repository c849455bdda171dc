import { type HostOptions, type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven, type Props } from "./drive";

/** Addresses of the outside world: whatever reaches them has left the host. */
const PUBLIC = ["203.0.113.9", "2001:db8:9::9"] as const;
const PRIVATE = ["10.9.9.9", "172.16.9.9", "192.168.9.9", "fd00:9::9"] as const;

type Runner = Pick<LabHost, "run">;

const hosts: LabHost[] = [];

async function start(options: HostOptions = {}): Promise<LabHost> {
  const host = await startHost(options);
  hosts.push(host);
  // The image may name a private resolver of the machine that built it, which a fence must not cut off.
  await host.run("echo nameserver 198.18.0.1 >/etc/resolv.conf");
  const addresses = [...PUBLIC, ...PRIVATE].map((address) => `ip addr replace ${address} dev labsw nodad || exit 1`);
  await host.outside(addresses.join("\n").replaceAll(/(\d\.\d+ dev labsw) nodad/g, "$1"));
  return host;
}

afterAll(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.down()));
});

const rfc1918AndUla = { uplink: "eth0", networks: ["rfc1918", "ula"] };
const onBridge = { uplink: { interface: "eth0", bridge: "br0" } };

function argsOf(host: LabHost, args: Props): Props {
  return { ...accessOf(host), ...rfc1918AndUla, ...args };
}

/** A fence for as long as `work` lasts. */
async function fenced(host: LabHost, name: string, args: Props, work: (fence: Driven) => Promise<void>): Promise<void> {
  const fence = await Driven.create("LeakFence", name, argsOf(host, args));
  try {
    await work(fence);
  } finally {
    await fence.delete();
  }
}

/** What tcpdump sees come out of the host while `send` lasts. */
async function arrivals(host: LabHost, send: () => Promise<unknown>): Promise<string> {
  const [, , high, low] = host.address.split(".").map(Number);
  const port = `lab${(high ?? 0) * 256 + (low ?? 0)}`;
  const { stdout } = await host.outside(`
    folder=$(mktemp -d)
    tcpdump --immediate-mode -l -e -nn -Q in -i ${port} >$folder/seen 2>$folder/log </dev/null &
    echo $! >$folder/pid
    for i in $(seq 1000); do grep -q 'listening on' $folder/log && break; sleep 0.01; done
    grep -q 'listening on' $folder/log && echo $folder`);
  const folder = stdout.trim();
  await send();
  // Ethernet type 0x88b5 is set aside for experiments: the last frame that this capture waits for.
  await host.sendFrame("eth0", Buffer.from(`ffffffffffff02aaaaaaaaff88b5${"00".repeat(46)}`, "hex"));
  const seen = await host.run(`
    for i in $(seq 1000); do grep -q 'ethertype Unknown (0x88b5)' ${folder}/seen && break; sleep 0.01; done
    kill $(cat ${folder}/pid)
    grep -q 'ethertype Unknown (0x88b5)' ${folder}/seen && cat ${folder}/seen && rm -r ${folder}`);
  return seen.stdout;
}

/** Pings that are answered. */
async function ping(from: Runner, addresses: readonly string[]): Promise<void> {
  await from.run(addresses.map((address) => `ping -n -c 1 -W 10 ${address}`).join(" && "));
}

/** Which of the addresses packets arrive at. That public ones are answered is part of it: silence alone proves nothing. */
async function leaks(
  host: LabHost,
  from: Runner,
  addresses: readonly string[],
  open: readonly string[] = PUBLIC,
): Promise<string[]> {
  const seen = await arrivals(host, async () => {
    await ping(from, open);
    await from.run(addresses.map((address) => `ping -n -c 1 -W 0.2 ${address} || :`).join("\n"));
  });
  return addresses.filter((address) => seen.includes(` > ${address}: `));
}

/** Packets of each named counter of the resource, by its number. */
async function counters(host: LabHost, family: "inet" | "bridge" | "netdev", name: string): Promise<Record<string, number>> {
  const { stdout } = await host.run(`nft list counters table ${family} drawbridge`);
  const found = stdout.matchAll(/counter "?(\S+?)-[0-9a-f]{8}\.(\S+?)"? \{\s+packets (\d+)/g);
  return Object.fromEntries(
    [...found].flatMap(([, object, line = "", packets]) => (object === `leak-fence-${name}` ? [[line, Number(packets)]] : [])),
  );
}

const sum = (numbers: Record<string, number>) => Object.values(numbers).reduce((total, one) => total + one, 0);

function bytesOf(address: string): Buffer {
  if (!address.includes(":")) return Buffer.from(address.split(".").map(Number));
  const [head = [], tail = []] = address.split("::").map((part) => (part === "" ? [] : part.split(":")));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  return Buffer.from([...head, ...zeros, ...tail].map((word) => word.padStart(4, "0")).join(""), "hex");
}

const udp = (source: number, destination: number) =>
  Buffer.from([source >> 8, source & 255, destination >> 8, destination & 255, 0, 12, 0, 0, 1, 2, 3, 4]);

/** An IPv4 packet, its checksum right: bridges may look at it. */
function ipv4(source: string, destination: string, payload = udp(4000, 4009)): Buffer {
  const head = Buffer.concat([
    Buffer.from([0x45, 0, 0, 20 + payload.length, 0, 0, 0, 0, 64, 17, 0, 0]),
    bytesOf(source),
    bytesOf(destination),
  ]);
  let total = 0;
  for (let at = 0; at < 20; at += 2) total += head.readUInt16BE(at);
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  head.writeUInt16BE(~total & 0xffff, 10);
  return Buffer.concat([head, payload]);
}

function ipv6(source: string, destination: string, payload = udp(4000, 4009), protocol = 17, hopLimit = 255): Buffer {
  return Buffer.concat([
    Buffer.from([0x60, 0, 0, 0, 0, payload.length, protocol, hopLimit]),
    bytesOf(source),
    bytesOf(destination),
    payload,
  ]);
}

/** An ethernet frame to the outside world, perhaps with an 802.1Q tag. */
function frame(packet: Buffer, vlan?: number): Buffer {
  const tag = vlan === undefined ? "" : `8100${vlan.toString(16).padStart(4, "0")}`;
  const type = packet.readUInt8(0) >> 4 === 4 ? "0800" : "86dd";
  const head = Buffer.from(`02db0000000102aaaaaaaa01${tag}${type}`, "hex");
  return Buffer.concat([head, packet, Buffer.alloc(46)]);
}

/** Raw frames to public and private addresses, with the words that tcpdump has for them. */
function rawFrames(vlan?: number) {
  const packets = (destinations: readonly string[]) =>
    destinations.map((destination) => ({
      seen: ` > ${destination}.4009: UDP`,
      frame: frame(destination.includes(":") ? ipv6("2001:db8:77::77", destination) : ipv4("203.0.113.77", destination), vlan),
    }));
  const fromPrivate = [
    { seen: "10.1.2.3.4000 > 203.0.113.9.4009", frame: frame(ipv4("10.1.2.3", "203.0.113.9"), vlan) },
    { seen: "fd00::3.4000 > 2001:db8:9::9.4009", frame: frame(ipv6("fd00::3", "2001:db8:9::9"), vlan) },
  ];
  return { open: packets(PUBLIC), closed: [...packets(PRIVATE), ...fromPrivate] };
}

async function rawArrivals(
  host: LabHost,
  send: (frame: Buffer) => Promise<void>,
  frames: readonly { seen: string; frame: Buffer }[],
): Promise<string[]> {
  const seen = await arrivals(host, async () => {
    for (const one of frames) await send(one.frame).catch(unlessDropped);
  });
  return frames.map(({ seen: words }) => words).filter((words) => seen.includes(words));
}

/** What the kernel answers a program whose frame the egress hook has dropped. */
function unlessDropped(error: unknown): void {
  if (!String(error).includes("No buffer space available")) throw error;
}

/** An ICMPv6 packet of a type, about an address. */
const icmp6 = (type: number, source: string, destination: string, hopLimit: number) =>
  ipv6(source, destination, Buffer.concat([Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]), bytesOf("fe80::9")]), 58, hopLimit);

const wordsOf = (frames: readonly { seen: string }[]) => frames.map(({ seen }) => seen);

describe.each(["bookworm", "trixie"] as const)("on %s, with a routed uplink", (suite) => {
  let host: LabHost;
  const outOfEth0 = (bytes: Buffer) => host.sendFrame("eth0", bytes);

  beforeAll(async () => {
    host = await start({ suite });
  });

  test("the host's own packets to private networks leave before and after the fence, and not while it stands", async () => {
    expect(await leaks(host, host, PRIVATE)).toEqual(PRIVATE);
    await fenced(host, "own", {}, async (fence) => {
      expect(await leaks(host, host, PRIVATE)).toEqual([]);
      expect(await fence.refresh()).toEqual({});
    });
    expect(await leaks(host, host, PRIVATE)).toEqual(PRIVATE);
  });

  test.each([undefined, 0, 5])("raw frames to and from private networks never arrive, 802.1Q tag %s", async (vlan) => {
    const { open, closed } = rawFrames(vlan);
    expect(await rawArrivals(host, outOfEth0, [...open, ...closed])).toEqual(wordsOf([...open, ...closed]));
    await fenced(host, `raw-${vlan ?? "none"}`, {}, async () => {
      expect(await rawArrivals(host, outOfEth0, [...open, ...closed])).toEqual(wordsOf(open));
    });
  });

  test("many networks of one length fence as few do, behind a tag too, and each counts for itself", async () => {
    const networks = [
      ...Array.from({ length: 70 }, (_, index) => `10.${index}.9.0/24`),
      ...Array.from({ length: 70 }, (_, index) => `172.16.9.${2 * index + 1}`),
      ...Array.from({ length: 70 }, (_, index) => `fd00:${index.toString(16)}::/48`),
      "192.168.0.0/16",
    ];
    const beside = ["10.9.8.9", "10.70.9.9", "172.16.9.70", "fd00:46::9", "fd01:9::9"] as const;
    await host.outside(
      ["10.9.8.9/32", "10.70.9.9/32", "172.16.9.70/32"].map((address) => `ip addr replace ${address} dev labsw`).join("; ") +
        "; " +
        ["fd00:46::9/128", "fd01:9::9/128"].map((address) => `ip addr replace ${address} dev labsw nodad`).join("; "),
    );
    await fenced(host, "many", { networks }, async (fence) => {
      expect(await leaks(host, host, PRIVATE, [...PUBLIC, ...beside])).toEqual([]);
      expect(await counters(host, "inet", "many")).toMatchObject({
        "to.10.9.9.0/24": 1,
        "to.172.16.9.9": 1,
        "to.fd00_9__/48": 1,
      });
      const { open, closed } = rawFrames(5);
      const tagged = [...open, ...closed.slice(0, PRIVATE.length)];
      expect(await rawArrivals(host, outOfEth0, tagged)).toEqual(wordsOf(open));
      expect((await counters(host, "netdev", "many"))["to.10.9.9.0/24"]).toBeGreaterThan(0);
      expect(await fence.refresh()).toEqual({});
      // One goes and one comes: elements only.
      await fence.up(argsOf(host, { networks: [...networks.filter((one) => one !== "10.9.9.0/24"), "10.70.9.0/24"] }));
      expect(await leaks(host, host, ["10.9.9.9", "10.70.9.9"])).toEqual(["10.9.9.9"]);
      expect(await fence.refresh()).toEqual({});
    });
  });

  test("mode log lets everything pass and counts; counters outlive the switch to drop, and another fence", async () => {
    await fenced(host, "log", { mode: "log" }, async (fence) => {
      expect(await leaks(host, host, PRIVATE)).toEqual(PRIVATE);
      const [first, egress] = [await counters(host, "inet", "log"), await counters(host, "netdev", "log")];
      const networks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00__/7"];
      const perLine = networks.flatMap((network) => [[`to.${network}`, 1] as const, [`from.${network}`, 0] as const]);
      expect(first).toEqual(Object.fromEntries(perLine));
      expect(egress).toMatchObject(first);

      expect(await fence.up(argsOf(host, { mode: "drop" }))).toBe(true);
      expect(await counters(host, "inet", "log")).toEqual(first);
      expect(await leaks(host, host, PRIVATE)).toEqual([]);
      const dropped = await counters(host, "inet", "log");
      expect(sum(dropped)).toBe(2 * sum(first));
      // The first line has left nothing for the second.
      expect(await counters(host, "netdev", "log")).toEqual(egress);

      await fenced(host, "unrelated", { networks: ["cgnat"] }, async () => {
        expect(await counters(host, "inet", "log")).toEqual(dropped);
        expect(await counters(host, "netdev", "log")).toEqual(egress);
        expect(sum(await counters(host, "inet", "unrelated"))).toBe(0);
      });
      expect(await counters(host, "inet", "log")).toEqual(dropped);
      expect(await fence.refresh()).toEqual({});
    });
  });
});

describe("a routed uplink", () => {
  let host: LabHost;

  beforeAll(async () => {
    host = await start();
    await host.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  });

  const outOfEth0 = (bytes: Buffer) => host.sendFrame("eth0", bytes);

  async function guests() {
    const guest = (name: string, network: number) =>
      host.guest({
        name,
        addresses: [`10.0.${network}.2/24`, `fd00:${network}::2/64`],
        gateway: [`10.0.${network}.1`, `fd00:${network}::1`],
        attach: { hostAddresses: [`10.0.${network}.1/24`, `fd00:${network}::1/64`] },
      });
    const [one, two] = [await guest("one", 1), await guest("two", 2)];
    const down = async () => {
      await one.down();
      await two.down();
    };
    return { one, two, down };
  }

  test("masqueraded guests reach public addresses and each other, and no private network outside", async () => {
    await host.run(`nft -f - <<'end'
      table inet foreign {
        chain postrouting { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }
      }\nend`);
    const { one, two, down } = await guests();
    try {
      expect(await leaks(host, one, PRIVATE)).toEqual(PRIVATE);
      await fenced(host, "masqueraded", {}, async () => {
        expect(await leaks(host, one, PRIVATE)).toEqual([]);
        await ping(one, ["10.0.2.2", "fd00:2::2"]);
        await ping(two, ["10.0.1.2", "fd00:1::2"]);
      });
    } finally {
      await down();
      await host.run("nft delete table inet foreign");
    }
  });

  test("private sources that nobody has masqueraded do not leave, whatever their destination", async () => {
    const { one, two, down } = await guests();
    const seen = () =>
      arrivals(host, async () => {
        await ping(host, PUBLIC);
        await one.run(PUBLIC.map((address) => `ping -n -c 1 -W 0.2 ${address} || :`).join("\n"));
      });
    const [from4, from6] = ["10.0.1.2 > 203.0.113.9: ", "fd00:1::2 > 2001:db8:9::9: "];
    try {
      const open = await seen();
      expect(open).toContain(from4);
      expect(open).toContain(from6);
      await fenced(host, "by-source", {}, async () => {
        const closed = await seen();
        expect(closed).not.toContain(from4);
        expect(closed).not.toContain(from6);
        await ping(one, ["10.0.2.2", "fd00:2::2"]);
        await ping(two, ["10.0.1.1"]);
        expect(await counters(host, "inet", "by-source")).toMatchObject({ "from.10.0.0.0/8": 1, "from.fc00__/7": 1 });
      });
    } finally {
      await down();
    }
  });

  test("an exception to an address lets packets to it pass, in both lines, and no others", async () => {
    const { open, closed } = rawFrames();
    const exceptions = [
      { cidr: "10.9.9.9/32", direction: "to", description: "one | of them" },
      { cidr: "fd00:9::/64", direction: "to" },
    ];
    await fenced(host, "to", { exceptions }, async (fence) => {
      expect(await leaks(host, host, PRIVATE)).toEqual(["10.9.9.9", "fd00:9::9"]);
      const excepted = [" > 10.9.9.9.4009: UDP", " > fd00:9::9.4009: UDP"];
      expect(await rawArrivals(host, outOfEth0, [...open, ...closed])).toEqual([...wordsOf(open), ...excepted]);
      const tagged = rawFrames(5);
      expect(await rawArrivals(host, outOfEth0, [...tagged.open, ...tagged.closed])).toEqual([...wordsOf(open), ...excepted]);
      expect(await fence.refresh()).toEqual({});
      expect(await fence.up(argsOf(host, {}))).toBe(true);
      expect(await leaks(host, host, PRIVATE)).toEqual([]);
    });
  });

  test("an exception from an address lets its packets pass to public addresses, and to private ones not", async () => {
    const packet = (source: string, destination: string) => ({
      seen: `${source}.4000 > ${destination}.4009`,
      frame: frame(ipv4(source, destination)),
    });
    const passing = [packet("10.1.2.3", "203.0.113.9"), packet("203.0.113.77", "203.0.113.9")];
    const dropped = [
      packet("10.1.2.4", "203.0.113.9"),
      packet("10.1.2.3", "192.168.9.9"),
      packet("203.0.113.77", "10.1.2.3"),
      packet("203.0.113.77", "192.168.9.9"),
    ];
    expect(await rawArrivals(host, outOfEth0, [...passing, ...dropped])).toEqual(wordsOf([...passing, ...dropped]));
    await fenced(host, "from", { exceptions: [{ cidr: "10.1.2.3", direction: "from" }] }, async () => {
      expect(await rawArrivals(host, outOfEth0, [...passing, ...dropped])).toEqual(wordsOf(passing));
    });
  });

  test("ARP, neighbour discovery and DHCP requests pass though their addresses are fenced; their neighbours do not", async () => {
    const arp = Buffer.from(
      `ffffffffffff02aaaaaaaa010806000108000604000102aaaaaaaa010a0102030000000000000a090909${"00".repeat(18)}`,
      "hex",
    );
    const passing = [
      { seen: "who-has 10.9.9.9 tell 10.1.2.3", frame: arp },
      {
        seen: "fe80::1 > ff02::1:ff00:9: ICMP6, neighbor solicitation",
        frame: frame(icmp6(135, "fe80::1", "ff02::1:ff00:9", 255)),
      },
      { seen: ":: > ff02::1:ff00:9: ICMP6, neighbor solicitation", frame: frame(icmp6(135, "::", "ff02::1:ff00:9", 255)) },
      { seen: "fe80::1 > fe80::9: ICMP6, neighbor advertisement", frame: frame(icmp6(136, "fe80::1", "fe80::9", 255)) },
      { seen: "0.0.0.0.68 > 255.255.255.255.67: ", frame: frame(ipv4("0.0.0.0", "255.255.255.255", udp(68, 67))) },
      { seen: "fe80::1.546 > ff02::1:2.547: ", frame: frame(ipv6("fe80::1", "ff02::1:2", udp(546, 547))) },
      { seen: " > 64:ff9b::808:808.4009: UDP", frame: frame(ipv6("2001:db8:77::77", "64:ff9b::808:808")) },
    ];
    const dropped = [
      { seen: "fe80::1 > ff02::1: ICMP6, echo request", frame: frame(icmp6(128, "fe80::1", "ff02::1", 255)) },
      { seen: "0.0.0.0.69 > 255.255.255.255.67: ", frame: frame(ipv4("0.0.0.0", "255.255.255.255", udp(69, 67))) },
      { seen: "fe80::1.547 > ff02::1:2.547: ", frame: frame(ipv6("fe80::1", "ff02::1:2", udp(547, 547))) },
      { seen: " > 64:ff9b::a09:909.4009: UDP", frame: frame(ipv6("2001:db8:77::77", "64:ff9b::a09:909")) },
      { seen: " > ::ffff:10.9.9.9.4009: UDP", frame: frame(ipv6("2001:db8:77::77", "::ffff:a09:909")) },
    ];
    expect(await rawArrivals(host, outOfEth0, [...passing, ...dropped])).toEqual(wordsOf([...passing, ...dropped]));
    await fenced(
      host,
      "plumbing",
      { networks: ["rfc1918", "ula", "linklocal", "unspecified", "reserved", "protocol", "embedded"] },
      async () => {
        expect(await rawArrivals(host, outOfEth0, [...passing, ...dropped])).toEqual(wordsOf(passing));
        // The host itself finds its gateways anew.
        await host.run("ip neigh flush all");
        await ping(host, PUBLIC);
      },
    );
  });

  test("what always passes is no way out for anything else, neither for the host nor for guests, masqueraded or not", async () => {
    const { one, down } = await guests();
    await host.run("cat >/tmp/send.pl; chmod 644 /tmp/send.pl", {
      stdin: `use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6); my ($from, $to, $port, $hops) = @ARGV; my $six = $to =~ /:/;
my $family = $six ? AF_INET6 : AF_INET;
my $place = sub { my ($port, $address) = @_; my $bytes = inet_pton($family, $address); $six ? pack_sockaddr_in6($port, $bytes) : pack_sockaddr_in($port, $bytes) };
if (defined $hops) {
  socket(S, $family, SOCK_RAW, 58) or die "socket: $!"; setsockopt(S, 41, 16, pack("l", $hops)) or die "hop limit: $!";
  send(S, pack("C C n N", $from, 0, 0, 0) . ("\\0" x 16) . ("S" x 900), 0, $place->(0, $to));
} else {
  socket(S, $family, SOCK_DGRAM, 17) or die "socket: $!"; bind(S, $place->($from, $six ? "::" : "0.0.0.0")) or die "bind: $!";
  send(S, "SECRET", 0, $place->($port, $to));
}`,
    });
    const ways = [
      "68 10.9.9.9 67",
      "546 10.9.9.9 547",
      "68 fd00:9::9 67",
      "546 fd00:9::9 547",
      ...[131, 133, 135, 136, 143].map((type) => `${type} fd00:9::9 0 64`),
      "135 fd00:9::9 0 255",
      "143 fd00:9::9 0 2",
    ];
    // What tcpdump says of the last word of a packet: its port, or its kind.
    const passing = async (from: Runner) => {
      const seen = await arrivals(host, async () => {
        await from.run("ping -n -c 1 -W 0.3 203.0.113.9 || :");
        await from.run(ways.map((way) => `perl /tmp/send.pl ${way}`).join("\n"), { allowFailure: true });
      });
      expect(seen).toMatch(/ > 203\.0\.113\.9: ICMP echo request/);
      const large = seen.split("\n").filter((line) => line.includes(" > fd00:9::9: ICMP6")).length;
      const ports = ["10.9.9.9.67", "10.9.9.9.547", "fd00:9::9.67", "fd00:9::9.547"].filter((place) =>
        seen.includes(` > ${place}: `),
      );
      return { ports, large };
    };
    const masquerade = `nft 'table inet foreign { chain p { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }; }'`;
    const all = { ports: ["10.9.9.9.67", "10.9.9.9.547", "fd00:9::9.67", "fd00:9::9.547"], large: 7 };
    try {
      expect(await passing(host)).toEqual(all);
      expect(await passing(one)).toEqual(all);
      await fenced(
        host,
        "no-tunnel",
        { networks: ["rfc1918", "ula", "linklocal"], exceptions: [{ cidr: "10.0.1.0/24", direction: "from" }] },
        async () => {
          // The host's own lease is renewed at whatever server gave it.
          expect(await passing(host)).toEqual({ ports: ["10.9.9.9.67", "fd00:9::9.547"], large: 0 });
          await host.run(masquerade);
          expect(await passing(one)).toEqual({ ports: [], large: 0 });
        },
      );
    } finally {
      await down();
      await host.run("nft delete table inet foreign 2>/dev/null; true");
    }
  });

  test.each([
    ["inet postrouting", "nft flush map inet drawbridge postrouting_oifname", "netdev"],
    ["netdev egress", "nft flush chain netdev drawbridge egress.eth0", "inet"],
  ] as const)("without its line in %s the other line holds, and refresh names the damage", async (line, damage, other) => {
    const name = `without-${line.split(" ").join("-")}`;
    await fenced(host, name, {}, async (fence) => {
      await host.run(damage);
      expect(await leaks(host, host, PRIVATE)).toEqual([]);
      expect(sum(await counters(host, other, name))).toBe(PRIVATE.length);
      expect(JSON.stringify(await fence.refresh())).toContain(`${line.split(" ")[0] ?? ""} damaged: `);
      expect(await fence.up(argsOf(host, {}))).toBe(true);
      expect(await fence.refresh()).toEqual({});
      // Both removed, they leak: nothing else has held them.
      await host.run("nft flush map inet drawbridge postrouting_oifname; nft flush chain netdev drawbridge egress.eth0");
      expect(await leaks(host, host, PRIVATE)).toEqual(PRIVATE);
    });
  });

  test("egress: false leaves one line, which raw frames pass", async () => {
    const { open, closed } = rawFrames();
    await fenced(host, "one-line", { egress: false }, async () => {
      expect(await leaks(host, host, PRIVATE)).toEqual([]);
      expect(await rawArrivals(host, outOfEth0, [...open, ...closed])).toEqual(wordsOf([...open, ...closed]));
    });
  });

  test("an interface that appears after the rules is fenced, by its second line as soon as udev has called load", async () => {
    const toWan = async () => {
      const { stdout } = await host.run(`
        ip netns exec wan tcpdump --immediate-mode -l -nn -i eth0 >/tmp/wan 2>/tmp/wan.log </dev/null &
        for i in $(seq 1000); do grep -q 'listening on' /tmp/wan.log && break; sleep 0.01; done
        ping -n -c 1 -W 10 203.0.114.2 >/dev/null && ping -n -c 1 -W 0.2 10.77.0.2 >/dev/null
        true >/tmp/sent; echo $!`);
      await host.sendFrame("wan1", frame(ipv4("203.0.114.1", "10.77.0.3"))).catch(unlessDropped);
      await host.sendFrame("wan1", frame(ipv4("203.0.114.1", "203.0.114.3")));
      const seen = await host.run(`
        for i in $(seq 1000); do grep -q '> 203.0.114.3.4009' /tmp/wan && break; sleep 0.01; done
        kill ${stdout.trim()}; cat /tmp/wan; rm /tmp/wan /tmp/wan.log`);
      return ["203.0.114.2: ", "10.77.0.2: ", "10.77.0.3.4009: ", "203.0.114.3.4009: "].filter((words) =>
        seen.stdout.includes(` > ${words}`),
      );
    };
    await fenced(host, "later", { uplink: "wan1" }, async (fence) => {
      expect(await fence.refresh()).toEqual({});
      await host.run(`set -e
        ip netns add wan
        ip link add wan1 type veth peer name eth0 netns wan
        ip addr add 203.0.114.1/24 dev wan1
        ip link set wan1 up
        ip -n wan addr add 203.0.114.2/24 dev eth0
        ip -n wan addr add 10.77.0.2/32 dev eth0
        ip -n wan link set eth0 up
        ip route add 10.77.0.0/24 via 203.0.114.2`);
      try {
        // The routed line holds at once; raw frames want the device's own.
        expect(await toWan()).toEqual(["203.0.114.2: ", "10.77.0.3.4009: ", "203.0.114.3.4009: "]);
        await host.run("/usr/local/sbin/drawbridge-host load");
        expect(await toWan()).toEqual(["203.0.114.2: ", "203.0.114.3.4009: "]);
        await host.run("sleep 2.1");
        expect(await fence.refresh()).toEqual({});
      } finally {
        await host.run("ip link delete wan1; ip netns delete wan");
      }
    });
  });

  test("what iptables and Docker do to their own tables leaves the fence as it is", async () => {
    await fenced(host, "neighbours", {}, async (fence) => {
      await host.run(`set -e
        iptables -N DOCKER; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER
        iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
        iptables -P FORWARD DROP
        iptables -F; ip6tables -F; iptables -t nat -F; iptables -X
        iptables -A OUTPUT -d 10.0.0.0/8 -j ACCEPT`);
      try {
        expect(await leaks(host, host, PRIVATE)).toEqual([]);
        expect(await fence.refresh()).toEqual({});
      } finally {
        await host.run("for t in 'ip filter' 'ip nat' 'ip6 filter'; do nft delete table $t 2>/dev/null || :; done");
      }
    });
    expect(await leaks(host, host, PRIVATE)).toEqual(PRIVATE);
  });

  test("no update opens the fence for a moment, for packets or for raw frames", async () => {
    await host.run(`
      cat >/tmp/flood <<'end'
      use Socket;
      my ($file, $index, $frame) = @ARGV; my $sent = 0;
      $SIG{TERM} = sub { open(my $out, ">", $file); print $out $sent; close($out); exit };
      my $to = defined $index ? pack("S n i S C C a8", 17, 3, $index, 0, 0, 6, "") : sockaddr_in(9, inet_aton("10.9.9.9"));
      defined $index ? socket(S, 17, 3, unpack("S", pack("n", 3))) : socket(S, PF_INET, SOCK_DGRAM, 17);
      my $bytes = defined $index ? pack("H*", $frame) : "x";
      while (1) { send(S, $bytes, 0, $to); $sent++; select(undef, undef, undef, 0.0002) }\nend`);
    const raw = frame(ipv4("203.0.113.77", "192.168.9.9")).toString("hex");
    const flood = await host.run(`
      perl /tmp/flood /tmp/sent.packets >/dev/null 2>&1 </dev/null & echo $!
      perl /tmp/flood /tmp/sent.frames $(cat /sys/class/net/eth0/ifindex) ${raw} >/dev/null 2>&1 </dev/null & echo $!`);
    const leaked = (seen: string) => ["10.9.9.9.9: ", "192.168.9.9.4009: "].map((words) => seen.split(` > ${words}`).length - 1);
    await fenced(host, "flooded", {}, async (fence) => {
      const seen = await arrivals(host, async () => {
        for (let round = 0; round < 20; round++) {
          const networks = round % 2 === 0 ? ["rfc1918", "ula", "cgnat"] : ["rfc1918", "ula"];
          expect(await fence.up(argsOf(host, { networks }))).toBe(true);
        }
      });
      expect(leaked(seen)).toEqual([0, 0]);
    });
    const open = leaked(await arrivals(host, () => host.run("sleep 0.3")));
    const { stdout } = await host.run(`kill ${flood.stdout.split("\n").join(" ")}
      for i in $(seq 1000); do [ -s /tmp/sent.packets ] && [ -s /tmp/sent.frames ] && break; sleep 0.01; done
      cat /tmp/sent.packets; echo; cat /tmp/sent.frames`);
    for (const count of open) expect(count).toBeGreaterThan(20);
    for (const count of stdout.split("\n")) expect(Number(count)).toBeGreaterThan(2000);
  });
});

describe("an uplink that is a port of a bridge", () => {
  let host: LabHost;

  beforeAll(async () => {
    host = await start({ uplink: "bridged" });
  });

  async function guests() {
    const guest = (name: string, last: number) =>
      host.guest({
        name,
        addresses: [`198.18.202.${last}/16`, `2001:db8:77::ca:${last}/64`, `10.7.7.${last}/24`, `fd00:7::${last}/64`],
        gateway: ["198.18.0.1", "2001:db8:77::1"],
        attach: { bridge: "br0" },
      });
    const [one, two] = [await guest("one", 2), await guest("two", 3)];
    const down = async () => {
      await one.down();
      await two.down();
    };
    return { one, two, down };
  }

  test("guests get leases and find their neighbours, and reach nothing further by that", async () => {
    const { one, down } = await guests();
    const dhcp = (source: string, destination: string) => ({
      seen: `${source}.68 > ${destination}.67: `,
      frame: frame(ipv4(source, destination, udp(68, 67))),
    });
    const dhcp6 = (destination: string) => ({
      seen: `fe80::1.546 > ${destination}.547: `,
      frame: frame(ipv6("fe80::1", destination, udp(546, 547))),
    });
    const kinds = {
      133: "router solicitation",
      135: "neighbor solicitation",
      136: "neighbor advertisement",
      143: "multicast listener report v2",
    };
    const icmp = (type: keyof typeof kinds, source: string, destination: string, hopLimit = 255) => ({
      seen: `${source} > ${destination}: ICMP6, ${kinds[type]}`,
      frame: frame(icmp6(type, source, destination, hopLimit)),
    });
    const passing = [
      dhcp("0.0.0.0", "255.255.255.255"),
      dhcp("10.7.7.2", "255.255.255.255"),
      dhcp6("ff02::1:2"),
      icmp(133, "fe80::1", "ff02::2"),
      icmp(135, "::", "ff02::1:ff00:9"),
      icmp(135, "fd00:7::2", "ff02::1:ff00:9"),
      icmp(135, "fe80::1", "2001:db8:77::1"),
      icmp(136, "fd00:7::2", "fe80::9"),
      icmp(143, "fe80::1", "ff02::16", 1),
    ];
    const dropped = [
      dhcp("198.18.202.2", "10.9.9.9"),
      dhcp6("fd00:9::9"),
      icmp(135, "2001:db8:77::2", "fd00:9::9"),
      icmp(136, "fe80::1", "fd00:9::9", 64),
      icmp(135, "fe80::1", "ff02::1:ff00:8", 64),
      icmp(143, "2001:db8:77::2", "fd00:9::9", 1),
      icmp(143, "fe80::1", "ff0e::16", 2),
    ];
    const send = (bytes: Buffer) => one.sendFrame(bytes);
    const networks = ["rfc1918", "ula", "linklocal", "unspecified", "reserved"];
    try {
      expect(await rawArrivals(host, send, [...passing, ...dropped])).toEqual(wordsOf([...passing, ...dropped]));
      await fenced(host, "leases", { ...onBridge, networks }, async () => {
        expect(await rawArrivals(host, send, [...passing, ...dropped])).toEqual(wordsOf(passing));
        await host.run("nft flush map bridge drawbridge postrouting_oifname");
        expect(await rawArrivals(host, send, [...passing, ...dropped])).toEqual(wordsOf(passing));
      });
    } finally {
      await down();
    }
  });

  const withoutLine = {
    bridge: "nft flush map bridge drawbridge postrouting_oifname",
    netdev: "nft flush chain netdev drawbridge egress.eth0",
  };

  test("packets of the host and of guests to private networks do not leave the port; guests reach each other and the public", async () => {
    const { one, two, down } = await guests();
    try {
      expect(await leaks(host, one, PRIVATE)).toEqual(PRIVATE);
      expect(await leaks(host, host, PRIVATE)).toEqual(PRIVATE);
      await fenced(host, "bridged", onBridge, async (fence) => {
        expect(await leaks(host, one, PRIVATE)).toEqual([]);
        expect(await leaks(host, host, PRIVATE)).toEqual([]);
        await ping(one, ["10.7.7.3", "fd00:7::3", "198.18.202.3"]);
        await ping(two, ["10.7.7.2", "fd00:7::2"]);
        expect(await fence.refresh()).toEqual({});
      });
      expect(await leaks(host, one, PRIVATE)).toEqual(PRIVATE);
    } finally {
      await down();
    }
  });

  test.each(["bridge", "netdev"] as const)(
    "without its line in %s the other line holds, for the host and for guests",
    async (line) => {
      const { one, down } = await guests();
      const name = `bridged-without-${line}`;
      try {
        await fenced(host, name, onBridge, async (fence) => {
          await host.run(withoutLine[line]);
          expect(await leaks(host, one, PRIVATE)).toEqual([]);
          expect(await leaks(host, host, PRIVATE)).toEqual([]);
          expect(sum(await counters(host, line === "bridge" ? "netdev" : "bridge", name))).toBe(2 * PRIVATE.length);
          expect(JSON.stringify(await fence.refresh())).toContain(`${line} damaged: `);
          await host.run(`${withoutLine.bridge}; ${withoutLine.netdev}`);
          expect(await leaks(host, one, PRIVATE)).toEqual(PRIVATE);
        });
      } finally {
        await down();
      }
    },
  );

  test.each([undefined, 0, 5])(
    "raw frames of guests and of the host never arrive, in either line, 802.1Q tag %s",
    async (vlan) => {
      const { one, down } = await guests();
      const { open, closed } = rawFrames(vlan);
      const all = [...open, ...closed];
      const viaBridge = (bytes: Buffer) => host.sendFrame("br0", bytes);
      const viaPort = (bytes: Buffer) => host.sendFrame("eth0", bytes);
      try {
        expect(await rawArrivals(host, (bytes) => one.sendFrame(bytes), all)).toEqual(wordsOf(all));
        await fenced(host, `bridged-raw-${vlan ?? "none"}`, onBridge, async (fence) => {
          for (const send of [(bytes: Buffer) => one.sendFrame(bytes), viaBridge, viaPort]) {
            expect(await rawArrivals(host, send, all)).toEqual(wordsOf(open));
          }
          await host.run(withoutLine.netdev);
          expect(await rawArrivals(host, (bytes) => one.sendFrame(bytes), all)).toEqual(wordsOf(open));
          await fence.refresh();
          expect(await fence.up(argsOf(host, onBridge))).toBe(true);
          await host.run(withoutLine.bridge);
          expect(await rawArrivals(host, (bytes) => one.sendFrame(bytes), all)).toEqual(wordsOf(open));
        });
      } finally {
        await down();
      }
    },
  );
});

describe("a fence that would see nothing, or cut the host off, is refused and changes nothing", () => {
  let refusing = 0;

  /** Why it is refused; looks at the host anew, where reads within a minute would share what they know of it. */
  async function refusal(host: LabHost, args: Props): Promise<string> {
    refusing += 1;
    const access = accessOf(host);
    const connection = { ...(access["connection"] as Props), perDialTimeout: 15 + refusing };
    const before = await host.fingerprint();
    try {
      await Driven.create("LeakFence", `refused-${refusing}`, { ...access, connection, ...rfc1918AndUla, ...args });
    } catch (error) {
      expect(await host.fingerprint()).toBe(before);
      return error instanceof Error ? error.message.replace(/^.*: pre-flight check: /, "") : String(error);
    }
    return "not refused";
  }

  test("with a bridge as its uplink, or a port without its bridge, or with another", async () => {
    const host = await start({ uplink: "bridged" });
    expect(await refusal(host, { uplink: "br0" })).toBe(
      'uplink: br0 is a bridge; fence the port that leads outside, for example { interface: "eth0", bridge: "br0" } (its ports: eth0) [refused]',
    );
    expect(await refusal(host, { uplink: "eth0" })).toBe(
      'uplink: eth0 is a port of br0, so that no routed packet ever leaves by it; write { interface: "eth0", bridge: "br0" } [refused]',
    );
    expect(await refusal(host, { uplink: { interface: "eth0", bridge: "br1" } })).toBe(
      "uplink: eth0 is a port of br0, not of br1 [refused]",
    );
    expect(await refusal(host, { uplink: { interface: "lo", bridge: "br0" } })).toBe(
      'uplink: lo is no port of br0 but stands by itself; write uplink: "lo", or enslave it first [refused]',
    );
    await fenced(host, "accepted-port", onBridge, async () => undefined);
  });

  test("over its own address", async () => {
    const host = await start({ addresses: ["192.168.5.5/24", "fd00:5::5/64"] });
    const [missing4, missing6] = ["192.168.5.5", "fd00:5::5"].map((address) => ({
      cidr: address,
      direction: "from",
      description: "the interface's own address",
    }));
    expect(await refusal(host, { exceptions: [missing6] })).toBe(
      'exceptions: the fence would cut off 192.168.5.5, the interface\'s own address; add the exception { cidr: "192.168.5.5", direction: "from", description: "the interface\'s own address" } [refused]',
    );
    expect(await refusal(host, { exceptions: [missing4] })).toContain(
      "the fence would cut off fd00:5::5, the interface's own address",
    );
    await fenced(host, "accepted-address", { exceptions: [missing4, missing6] }, async () => undefined);
  });

  test("over where the SSH connection comes from", async () => {
    const host = await start();
    await host.run("echo nameserver 203.0.113.53 >/etc/resolv.conf");
    const networks = ["198.18.0.1/32"];
    expect(await refusal(host, { networks })).toBe(
      'exceptions: the fence would cut off 198.18.0.1, where this SSH connection comes from; add the exception { cidr: "198.18.0.1", direction: "to", description: "where this SSH connection comes from" } [refused]',
    );
    const exceptions = [{ cidr: "198.18.0.1", direction: "to", description: "where this SSH connection comes from" }];
    await fenced(host, "accepted-peer", { networks, exceptions }, async () => undefined);
  });

  test("over a resolver in use, unless it only logs", async () => {
    const host = await start();
    await host.run("printf 'nameserver 203.0.113.53\\nnameserver 10.9.9.53\\nnameserver fd00:9::53\\n' >/etc/resolv.conf");
    const missing = (address: string) =>
      `exceptions: the fence would cut off ${address}, a resolver in use; add the exception { cidr: "${address}", direction: "to", description: "a resolver in use" }`;
    expect(await refusal(host, {})).toBe(`${missing("10.9.9.53")}\n  ${missing("fd00:9::53")} [refused]`);
    const exceptions = ["10.9.9.53", "fd00:9::53"].map((cidr) => ({ cidr, direction: "to", description: "a resolver in use" }));
    await fenced(host, "accepted-resolver", { exceptions }, async () => undefined);
    await fenced(host, "accepted-log", { mode: "log" }, async () => undefined);
  });

  test.each([
    {
      what: "a time server in use",
      where: "timesyncd",
      file: "/etc/systemd/timesyncd.conf",
      text: "[Time]\n#NTP=10.8.8.8\nNTP=198.18.0.1 10.9.9.123 fd00:9::123 time.example.org\n",
      addresses: ["10.9.9.123", "fd00:9::123"],
    },
    {
      what: "a time server in use",
      where: "chrony",
      file: "/etc/chrony/chrony.conf",
      text: "# server 10.8.8.8 iburst\npool time.example.org\nserver 10.9.9.123 iburst\n",
      addresses: ["10.9.9.123"],
    },
    {
      what: "a DHCP server in use",
      where: "dhclient",
      file: "/var/lib/dhcp/dhclient.eth0.leases",
      text: 'lease {\n  interface "eth0";\n  option routers 10.8.8.8;\n  option dhcp-server-identifier 10.9.9.67;\n}\n',
      addresses: ["10.9.9.67"],
    },
    {
      what: "a DHCP server in use",
      where: "systemd-networkd",
      file: "/run/systemd/netif/leases/2",
      text: "ADDRESS=198.18.0.10\nROUTER=10.8.8.8\nSERVER_ADDRESS=10.9.9.67\n",
      addresses: ["10.9.9.67"],
    },
    {
      what: "a DHCP server in use",
      where: "NetworkManager",
      file: "/var/lib/NetworkManager/internal-0-eth0.lease",
      text: "ADDRESS=198.18.0.10\nSERVER_ADDRESS=10.9.9.67\n",
      addresses: ["10.9.9.67"],
    },
  ])("over $what: $where", async ({ what, where, file, text, addresses }) => {
    const host = await start();
    await host.run(`mkdir -p "$(dirname ${file})"`);
    await fenced(host, `without-${where}`, {}, async () => undefined);
    await host.run(`cat >${file}`, { stdin: text });
    const exceptions = addresses.map((cidr) => ({ cidr, direction: "to", description: what }));
    const missing = addresses.map(
      (address) =>
        `exceptions: the fence would cut off ${address}, ${what}; add the exception { cidr: "${address}", direction: "to", description: "${what}" }`,
    );
    expect(await refusal(host, {})).toBe(`${missing.join("\n  ")} [refused]`);
    await fenced(host, `with-${where}`, { exceptions }, async () => undefined);
  });
});
