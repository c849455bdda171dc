import { setTimeout as sleep } from "node:timers/promises";
import { collectLeaks } from "../../dist/cli/leaks";
import { addressSet } from "../../dist/providers/address-set";
import { allow } from "../../dist/providers/allow";
import { defaultDrop } from "../../dist/providers/default-drop";
import { pooledHost } from "../../dist/host/pool";
import type { AnyKind } from "../../dist/providers/spec";
import { readStored, targetOf } from "../../dist/providers/stored";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven, type Props } from "./drive";

// In the lab a reboot is: the kernel forgets its rules, and the units' commands run.
const REBOOT = "nft flush ruleset; drawbridge-host settle; drawbridge-host load";
const [FRIEND, STRANGER] = ["203.0.113.2", "203.0.113.4"] as const;
const [FRIEND6, STRANGER6] = ["2001:db8:5::2", "2001:db8:5::4"] as const;
const [HERE6, OUTSIDE6] = ["2001:db8:6::1", "2001:db8:6::2"] as const;
const [SHOP, OTHER] = [7001, 7002] as const;
/** Where the tests' own SSH connections come from. */
const MANAGEMENT = { sources: ["198.18.0.0/16"] };

/** Takes connections of both IP versions to each port that it is given, and ends them. */
const LISTEN = `
  use Socket qw(:all);
  my %open;
  for my $port (@ARGV) {
    socket(my $listener, AF_INET6, SOCK_STREAM, 0) or die "socket: $!";
    setsockopt($listener, IPPROTO_IPV6, IPV6_V6ONLY, 0) or die "setsockopt: $!";
    bind($listener, pack_sockaddr_in6($port, inet_pton(AF_INET6, "::"))) or die "bind: $!";
    listen($listener, 128) or die "listen: $!";
    $open{fileno $listener} = $listener;
  }
  $| = 1;
  print "ready\\n";
  while (1) {
    my $waiting = "";
    vec($waiting, $_, 1) = 1 for keys %open;
    select $waiting, undef, undef, undef;
    for (grep { vec($waiting, $_, 1) } keys %open) { accept(my $connection, $open{$_}) and close $connection }
  }`;

let host: LabHost;
let before: string;

beforeAll(async () => {
  host = await startHost();
  await host.run(`ip address add ${HERE6}/64 dev eth0 nodad`);
  await host.outside(
    [
      ...[FRIEND, STRANGER].map((address) => `ip address replace ${address}/32 dev labsw`),
      ...[`${OUTSIDE6}/64`, `${FRIEND6}/128`, `${STRANGER6}/128`].map(
        (address) => `ip address replace ${address} dev labsw nodad`,
      ),
    ].join("; "),
  );
  await host.run(`ip route add 2001:db8:5::/64 via ${OUTSIDE6}`);
  await host.run(
    `cat >/run/listen.pl; setsid -f perl /run/listen.pl ${SHOP} ${OTHER} >/run/listening 2>&1 </dev/null
    for n in $(seq 500); do [ -s /run/listening ] && break; sleep 0.02; done; grep -qx ready /run/listening`,
    {
      stdin: LISTEN,
    },
  );
  before = await host.fingerprint();
});
afterAll(async () => {
  const after = await host.fingerprint();
  closeConnections();
  await host.down();
  expect(after).toBe(before);
});

const make = (kind: string, name: string, args: Props) => Driven.create(kind, name, { ...accessOf(host), ...args });

/** Whether a connection from the address is taken. The first packet may be lost; the second one comes after a second. */
async function connects(from: string, port: number): Promise<boolean> {
  const to = from.includes(":") ? HERE6 : host.address;
  return (await host.outside(`nc -z -w 2 -s ${from} ${to} ${port}`, { allowFailure: true })).code === 0;
}
const pings = async (from: string) =>
  (await host.outside(`ping -c 1 -W 1 -I ${from} ${from.includes(":") ? HERE6 : host.address}`, { allowFailure: true })).code ===
  0;

interface Flow {
  /** Whether what is said is answered within a second. */
  readonly answers: () => Promise<boolean>;
  readonly end: () => Promise<unknown>;
}

/** Says every datagram back that comes to one of its ports. */
const ECHO = `
  use IO::Socket::IP; use IO::Select;
  my ($address, @ports) = @ARGV;
  my $all = IO::Select->new(map { IO::Socket::IP->new(Proto => "udp", LocalHost => $address, LocalPort => $_, V6Only => 0) or die $@ } @ports);
  while (1) { for ($all->can_read) { my $from = $_->recv(my $said, 9000); $_->send($said, 0, $from) } }`;
/** Ends well when something comes back. */
const ASK = `
  use IO::Socket::IP;
  my ($from, $source_port, $to, $port, $bytes) = @ARGV;
  my $socket = IO::Socket::IP->new(Proto => "udp", LocalHost => $from, LocalPort => $source_port, PeerHost => $to, PeerPort => $port) or die $@;
  for (1 .. 3) {
    $socket->send("x" x ($bytes // 1));
    vec(my $waiting = "", fileno $socket, 1) = 1;
    exit 0 if select $waiting, undef, undef, 0.4;
  }
  exit 1`;

/** Speaks ten times a second to whoever has said something once. */
const SPEAK = `
  use IO::Socket::IP;
  my $socket = IO::Socket::IP->new(Proto => "udp", LocalHost => "0.0.0.0", LocalPort => $ARGV[0]) or die $@;
  my $from = $socket->recv(my $said, 100);
  while (1) { $socket->send("x", 0, $from); select undef, undef, undef, 0.1 }`;
/** Says something once, and counts what comes back. */
const LISTEN_TO = `
  use IO::Socket::IP;
  my ($from, $to, $port) = @ARGV;
  my $socket = IO::Socket::IP->new(Proto => "udp", LocalHost => $from, PeerHost => $to, PeerPort => $port) or die $@;
  $socket->send("x");
  $| = 1;
  while (1) { print "x" if $socket->recv(my $said, 100) ne "" || length $said }`;

async function listenTo(from: string, to: string, port: number) {
  const { stdout } = await host.outside(
    `file=$(mktemp); cat >$file; setsid -f sh -c "echo \\$\\$ >$file.pid; exec perl $file ${from} ${to} ${port}" >$file.heard 2>/dev/null </dev/null; echo $file`,
    { stdin: LISTEN_TO },
  );
  const file = stdout.trim();
  return {
    count: async () => Number((await host.outside(`stat -c %s ${file}.heard`)).stdout),
    end: () => host.outside(`kill $(cat ${file}.pid); rm ${file} ${file}.pid ${file}.heard`),
  };
}

/** What a refresh says of what has ended. */
async function expired(spec: AnyKind, resource: Driven): Promise<string | undefined> {
  const stored = readStored(spec, resource.outputs);
  const { facts } = await pooledHost(targetOf(stored)).snapshots.look();
  return spec.expired?.(stored.intent, new Date(), facts);
}

type Place = "on the host" | "outside";
const at = (place: Place, ...work: Parameters<LabHost["run"]>) =>
  place === "outside" ? host.outside(...work) : host.run(...work);

/** Echoes until what it returns is called. */
async function echo(place: Place, address: string, ports: readonly number[]): Promise<() => Promise<unknown>> {
  const { stdout } = await at(
    place,
    `file=$(mktemp); cat >$file; setsid -f sh -c "echo \\$\\$ >$file.pid; exec perl $file ${address} ${ports.join(" ")}" >/dev/null 2>&1 </dev/null; sleep 0.5; echo $file`,
    { stdin: ECHO },
  );
  const file = stdout.trim();
  return () => at(place, `kill $(cat ${file}.pid); rm ${file} ${file}.pid`);
}
/** "FROM SOURCE_PORT TO PORT BYTES" */
const asks = async (place: Place, words: string) =>
  (await at(place, `perl - ${words}`, { stdin: ASK, allowFailure: true })).code === 0;

let talks = 0;

/** A connection from outside that stays open, to a listener of its own that says everything back. */
async function talk(to: LabHost, from: string, firstPort: number): Promise<Flow> {
  const number = ++talks;
  const port = firstPort + number;
  const folder = `/tmp/talk-${port}`;
  await to.run(
    `mkfifo /run/back-${port}; setsid -f sh -c 'exec nc -4 -l ${port} <>/run/back-${port} | tee /run/back-${port}' >/dev/null 2>&1 </dev/null`,
  );
  await to.outside(
    `mkdir ${folder} && mkfifo ${folder}/say && setsid -f sh -c 'exec nc -4 -s ${from} ${to.address} ${port} <>${folder}/say >${folder}/heard' >/dev/null 2>&1 </dev/null; sleep 0.5`,
  );
  let said = 0;
  return {
    answers: async () => {
      const word = `word-${++said}-`;
      await to.outside(`echo ${word} >${folder}/say`);
      for (let tries = 0; tries < 15; tries++) {
        await sleep(100);
        if ((await to.outside(`cat ${folder}/heard`)).stdout.includes(word)) return true;
      }
      return false;
    },
    end: async () => {
      await to.outside(`pkill -f 'nc -4 -s ${from} ${to.address} ${port}'; rm -r ${folder}`, { allowFailure: true });
      await to.run(`pkill -f 'nc -4 -l ${port}'; rm -f /run/back-${port}`, { allowFailure: true });
    },
  };
}

/** For as long as `work` lasts; the newest goes first. */
async function during(made: readonly Driven[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    for (const one of made.toReversed()) await one.delete();
  }
}

describe("input", () => {
  const input = (args: Props = {}) => make("DefaultDrop", "input", { hook: "input", management: MANAGEMENT, ...args });

  test("only what is allowed passes, both IP versions; without it everything does", async () => {
    for (const from of [FRIEND, STRANGER, FRIEND6, STRANGER6]) expect([from, await connects(from, SHOP)]).toEqual([from, true]);
    const gate = await input({ allow: [{ protocol: "tcp", ports: [SHOP], from: [FRIEND, FRIEND6], description: "the shop" }] });
    await during([gate], async () => {
      for (const from of [FRIEND, FRIEND6]) {
        expect([from, await connects(from, SHOP)]).toEqual([from, true]);
        expect([from, await connects(from, OTHER)]).toEqual([from, false]);
      }
      for (const from of [STRANGER, STRANGER6]) expect([from, await connects(from, SHOP)]).toEqual([from, false]);
      // Neighbour discovery works, for the ping does after the neighbours were forgotten.
      await host.run("ip neigh flush all; ip -6 neigh flush all");
      for (const from of [STRANGER, STRANGER6]) expect([from, await pings(from)]).toEqual([from, true]);
      expect(await gate.refresh()).toEqual({});
    });
    expect(await connects(STRANGER, OTHER)).toBe(true);
  });

  test("what is open goes on; a new deny cuts it, and only it", async () => {
    const ports = [{ protocol: "tcp", ports: [`${OTHER + 10}-${OTHER + 20}`] }];
    const gate = await input({ allow: ports });
    await during([gate], async () => {
      const flows = [await talk(host, FRIEND, OTHER + 10), await talk(host, STRANGER, OTHER + 10)];
      for (const one of flows) expect(await one.answers()).toBe(true);
      await gate.up({ ...accessOf(host), hook: "input", management: MANAGEMENT });
      for (const one of flows) expect(await one.answers()).toBe(true);
      expect(await connects(FRIEND, SHOP)).toBe(false);
      const deny = await make("Deny", "one", { hook: "input", from: [STRANGER] });
      expect([await flows[0]?.answers(), await flows[1]?.answers()]).toEqual([true, false]);
      await deny.delete();
      expect(await flows[1]?.answers()).toBe(true);
      for (const one of flows) await one.end();
    });
  });

  test("a deny stands without a default drop", async () => {
    const deny = await make("Deny", "alone", { hook: "input", from: [STRANGER, STRANGER6], protocol: "tcp", ports: [SHOP] });
    await during([deny], async () => {
      for (const [friend, stranger] of [
        [FRIEND, STRANGER],
        [FRIEND6, STRANGER6],
      ] as const) {
        expect(await Promise.all([connects(friend, SHOP), connects(stranger, SHOP), connects(stranger, OTHER)])).toEqual([
          true,
          false,
          true,
        ]);
      }
      expect(await deny.refresh()).toEqual({});
    });
  });

  test("allows come before and after it, and a set of theirs is edited beside them", async () => {
    const waits = await make("Allow", "shop", { hook: "input", protocol: "tcp", ports: [SHOP], from: { set: "friends" } });
    expect((await host.run("drawbridge-host status")).stdout).toContain("waits for the set set.friends.ipv4.addresses");
    const gate = await input();
    const other = await make("Allow", "other", { hook: "input", protocol: "tcp", ports: [OTHER], from: ["203.0.113.0/29"] });
    const set = await make("AddressSet", "friends", { name: "friends", addresses: [FRIEND, "2001:db8:5::/126"] });
    await during([set, waits, gate, other], async () => {
      expect(await Promise.all([connects(FRIEND, SHOP), connects(STRANGER, SHOP)])).toEqual([true, false]);
      expect(await Promise.all([connects(FRIEND6, SHOP), connects(STRANGER6, SHOP)])).toEqual([true, false]);
      expect(await Promise.all([connects(STRANGER, OTHER), connects(STRANGER6, OTHER)])).toEqual([true, false]);
      await set.up({ ...accessOf(host), name: "friends", addresses: [STRANGER] });
      expect(await Promise.all([connects(FRIEND, SHOP), connects(STRANGER, SHOP), connects(FRIEND6, SHOP)])).toEqual([
        false,
        true,
        false,
      ]);
      await expect(set.delete()).rejects.toThrow(/the set set\.friends\.\S+ is still named by rules of \S*allow-shop/);
      for (const one of [waits, gate, other, set]) expect(await one.refresh()).toEqual({});
    });
  });

  test("very many entries are elements of a map: what one of them says passes, what none says does not, and each is named by its own words", async () => {
    const others = Array.from({ length: 70 }, (_, index) => ({
      protocol: "tcp",
      ports: [9000 + index],
      from: [`192.0.2.${index}`],
    }));
    const args = {
      hook: "input",
      management: MANAGEMENT,
      allow: [...others, { protocol: "tcp", ports: [SHOP], from: [FRIEND] }],
    };
    const gate = await make("DefaultDrop", "many", args);
    expect(await Promise.all([connects(FRIEND, SHOP), connects(FRIEND, OTHER), connects(STRANGER, SHOP)])).toEqual([
      true,
      false,
      false,
    ]);
    expect(await gate.refresh()).toEqual({});
    await host.run(`nft delete element inet drawbridge drop.input.host.from-ipv4-32.port '{ ${FRIEND} . tcp . ${SHOP} }'`);
    closeConnections();
    expect(await connects(FRIEND, SHOP)).toBe(false);
    expect(await gate.refresh()).toEqual({ "inet 20 allow 071": { wanted: undefined, found: "missing" } });
    await gate.up({ ...accessOf(host), ...args });
    expect(await connects(FRIEND, SHOP)).toBe(true);
    await gate.delete();
  });

  describe("allows of addresses and ports share a map", () => {
    const MAP = "inet drawbridge drop.input.host.from-ipv4-32.port";
    const deltas = async () => Number((await host.run("cat /run/drawbridge/proven/deltas.inet 2>/dev/null || echo 0")).stdout);
    const allowed = (name: string, from: string, port: number) =>
      make("Allow", name, { hook: "input", protocol: "tcp", ports: [port], from: [from] });
    let gate: Driven;
    let shop: Driven;
    beforeAll(async () => {
      gate = await input();
      shop = await allowed("shop", FRIEND, SHOP);
    });
    afterAll(async () => {
      await shop.delete();
      await gate.delete();
    });

    test("one more is an element more, and what one lets pass it counts", async () => {
      const count = await deltas();
      const other = await allowed("other", STRANGER, OTHER);
      expect(await deltas()).toBe(count + 1);
      expect(await Promise.all([connects(FRIEND, SHOP), connects(STRANGER, OTHER)])).toEqual([true, true]);
      expect(await Promise.all([connects(STRANGER, SHOP), connects(FRIEND, OTHER)])).toEqual([false, false]);
      const { stdout } = await host.run("nft list counters table inet drawbridge");
      for (const name of ["shop", "other"]) expect(stdout).toMatch(new RegExp(`allow-${name}-\\w+\\.allow \\{\\s+packets [1-9]`));
      expect([await other.refresh(), await shop.refresh(), await gate.refresh()]).toEqual([{}, {}, {}]);
      await other.delete();
      expect(await deltas()).toBe(count + 2);
      expect(await Promise.all([connects(FRIEND, SHOP), connects(STRANGER, OTHER)])).toEqual([true, false]);
    });

    test("two that let the same pass: it passes until both have gone", async () => {
      const again = await allowed("again", FRIEND, SHOP);
      expect([await connects(FRIEND, SHOP), await again.refresh(), await shop.refresh()]).toEqual([true, {}, {}]);
      await again.delete();
      expect([await connects(FRIEND, SHOP), await shop.refresh()]).toEqual([true, {}]);
    });

    test("one that somebody takes out is named by its own resource, one that he puts in by all; both are mended", async () => {
      const other = await allowed("other", STRANGER, OTHER);
      await host.run(`nft delete element ${MAP} '{ ${FRIEND} . tcp . ${SHOP} }'`);
      closeConnections();
      expect(Object.values(await shop.refresh())).toEqual([{ wanted: undefined, found: "missing" }]);
      expect(await other.refresh()).toEqual({});
      await shop.up({ ...accessOf(host), hook: "input", protocol: "tcp", ports: [SHOP], from: [FRIEND] });
      expect(await connects(FRIEND, SHOP)).toBe(true);
      await host.run(
        `name=$(nft list counters table inet drawbridge | sed -n 's/.*counter \\(allow-shop[^ ]*\\) .*/\\1/p'); nft add element ${MAP} "{ ${STRANGER} . tcp . ${SHOP} : \\"$name\\" }"`,
      );
      closeConnections();
      expect(await connects(STRANGER, SHOP)).toBe(true);
      for (const one of [shop, other])
        expect(Object.keys(await one.refresh())).toEqual([
          expect.stringMatching(/damaged: map .*: not ours, 203\.0\.113\.4 \. tcp \. 7001/),
        ]);
      await other.up({ ...accessOf(host), hook: "input", protocol: "tcp", ports: [OTHER], from: [STRANGER] });
      closeConnections();
      expect(await Promise.all([connects(STRANGER, SHOP), connects(STRANGER, OTHER)])).toEqual([false, true]);
      expect([await other.refresh(), await shop.refresh()]).toEqual([{}, {}]);
      await other.delete();
    });

    test("of each length of a network, of both versions, with and without interfaces and ports", async () => {
      const args: Props[] = [
        { from: ["203.0.113.4/31"], protocol: "tcp", ports: [OTHER] },
        { from: [`${FRIEND6}/127`], in: "eth0", protocol: "tcp", ports: [OTHER] },
        { from: [STRANGER6], to: [HERE6] },
      ];
      const all = await Promise.all(args.map((one, index) => make("Allow", `way-${index}`, { hook: "input", ...one })));
      await during(all, async () => {
        expect(await Promise.all([connects(STRANGER, OTHER), connects(FRIEND, OTHER)])).toEqual([true, false]);
        expect(await Promise.all([connects(FRIEND6, OTHER), connects(FRIEND6, SHOP)])).toEqual([true, false]);
        expect(await Promise.all([connects(STRANGER6, OTHER), connects(STRANGER6, SHOP)])).toEqual([true, true]);
        for (const one of all) expect(await one.refresh()).toEqual({});
      });
    });
  });

  test("what would cut off this connection is refused with the line that is missing; with `force` it is rolled back", async () => {
    const elsewhere = { sources: ["192.0.2.0/24"] };
    await expect(input({ management: elsewhere })).rejects.toThrow(
      /management\.sources: this SSH connection comes from (198\.18\.\d+\.\d+), and would be cut off; add "\1"/,
    );
    await expect(input({ management: { ...MANAGEMENT, port: 2222 } })).rejects.toThrow(/management\.port: .* goes to port 22 /);
    await expect(input({ management: undefined })).rejects.toThrow(/^management: must say where the administrator comes from/);
    await expect(input({ management: elsewhere, force: true, confirmDeadlineSeconds: 5 })).rejects.toThrow(
      /the host rolled it back after 5 s[^]*DefaultDrop input: its rule "dropped" has met/,
    );
    closeConnections();
    expect(await connects(STRANGER, SHOP)).toBe(true);
  });

  test("an entry of `allow` that covers this connection is enough", async () => {
    const gate = await input({
      management: { sources: ["192.0.2.0/24"] },
      allow: [{ service: "ssh", from: ["198.18.0.0/16"], in: "eth0" }],
    });
    await during([gate], async () => {
      closeConnections();
      expect([await gate.refresh(), await connects(STRANGER, SHOP)]).toEqual([{}, false]);
    });
  });

  test.each([
    [
      "input",
      { from: ["198.18.0.0/16", "192.0.2.1"], protocol: "tcp", ports: ["20-25"] },
      /from: the rule "20 deny" would drop this SSH connection, which comes from 198\.18\.\d+\.\d+; narrow it/,
    ],
    ["output", { out: "eth0", protocol: "tcp", sourcePorts: [22] }, /out: the rule "20 deny" would drop this SSH connection/],
  ])(
    "a deny on %s that would drop this connection is refused with its rule; with `force` it is rolled back",
    async (hook, args, reason) => {
      const cuts = (more: Props = {}) => make("Deny", `cuts-${hook}`, { hook, ...args, ...more });
      await expect(cuts()).rejects.toThrow(reason);
      await expect(cuts({ force: true, confirmDeadlineSeconds: 5 })).rejects.toThrow(/the host rolled it back after 5 s/);
      closeConnections();
      expect(await connects(STRANGER, SHOP)).toBe(true);
      // What does not touch this connection is taken.
      await during([await cuts({ ports: [26], sourcePorts: undefined })], async () => {
        closeConnections();
        expect(await connects(STRANGER, SHOP)).toBe(true);
      });
    },
  );

  test("a deny by a set is taken, for who is in it is not known; the set that would cut us off is rolled back", async () => {
    const set = await make("AddressSet", "suspects", { name: "suspects", addresses: [STRANGER] });
    const deny = await make("Deny", "suspects", { hook: "input", from: { set: "suspects" } });
    await during([set, deny], async () => {
      expect(await Promise.all([connects(STRANGER, SHOP), connects(FRIEND, SHOP)])).toEqual([false, true]);
      await expect(
        set.up({ ...accessOf(host), name: "suspects", addresses: ["198.18.0.0/16"], confirmDeadlineSeconds: 5 }),
      ).rejects.toThrow(/the host rolled it back after 5 s/);
      // Connections to a host that was slow to take one are spaced out.
      closeConnections();
      expect(await Promise.all([connects(STRANGER, SHOP), connects(FRIEND, SHOP)])).toEqual([false, true]);
    });
  });

  test("a second one on the same hook is refused with the name and the stack of the first; on another hook it is not", async () => {
    const refused =
      /hook: has a default drop already, DefaultDrop input of the stack tests\/lab, and input can have one only; make this one an Allow/;
    const again = { hook: "input", management: MANAGEMENT };
    const first = await input();
    const output = await make("DefaultDrop", "output", { hook: "output", management: MANAGEMENT });
    await during([first, output], async () => {
      // A name that comes before the first one's, and one behind it.
      for (const name of ["another", "second"])
        await expect(make("DefaultDrop", name, again)).rejects.toMatchObject({
          failure: { code: "rejected", reason: expect.stringMatching(refused) as string },
        });
      // In one change with an edit of the first one; an allow beside them is applied.
      const [edited, second, allow] = await Promise.allSettled([
        first.up({ ...accessOf(host), ...again, allow: [{ protocol: "tcp", ports: [SHOP] }] }),
        make("DefaultDrop", "another", again),
        make("Allow", "beside", { hook: "input", protocol: "tcp", ports: [OTHER] }),
      ]);
      expect(edited).toEqual({ status: "fulfilled", value: true });
      expect(second).toMatchObject({ status: "rejected", reason: { message: expect.stringMatching(refused) as string } });
      expect(await Promise.all([connects(STRANGER, SHOP), connects(STRANGER, OTHER)])).toEqual([true, true]);
      if (allow.status === "fulfilled") await allow.value.delete();
      await expect(output.up({ ...accessOf(host), ...again })).rejects.toThrow(refused);
      for (const one of [first, output]) expect(await one.refresh()).toEqual({});
    });
    // Of two in one change, one comes.
    const both = await Promise.allSettled(["one", "other"].map((name) => make("DefaultDrop", name, again)));
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    for (const one of both) if (one.status === "fulfilled") await one.value.delete();
  });

  test("a rehearsal counts and lets pass; `reject` tells the sender at once", async () => {
    const gate = await input({ mode: "log" });
    await during([gate], async () => {
      expect(await connects(STRANGER, SHOP)).toBe(true);
      const { stdout } = await host.run("nft list counters table inet drawbridge");
      expect(stdout).toMatch(/dropped \{\s+packets [1-9]/);
      await gate.up({ ...accessOf(host), hook: "input", management: MANAGEMENT, final: "reject" });
      const { stdout: tcp } = await host.outside(`nc -v -w 3 -s ${STRANGER} ${host.address} ${SHOP} 2>&1 || true`);
      expect(tcp).toMatch(/refused/);
      expect(await gate.refresh()).toEqual({});
    });
  });

  test("the log goes to an nflog group where that is asked for, and tells the hook", async () => {
    const gate = await input({ log: { nflogGroup: 5 }, allow: [{ protocol: "tcp", ports: [SHOP], from: [FRIEND] }] });
    await during([gate], async () => {
      await host.run(`tcpdump --immediate-mode -U -Z root -i nflog:5 -w /run/group >/run/group.log 2>&1 </dev/null & echo $! >/run/group.pid
        for n in $(seq 500); do grep -q 'listening on' /run/group.log && exit 0; sleep 0.02; done; exit 1`);
      expect([await connects(FRIEND, SHOP), await connects(STRANGER, SHOP)]).toEqual([true, false]);
      const { stdout: packets } = await host.run("kill $(cat /run/group.pid); sleep 0.2; tcpdump -nn -r /run/group 2>/dev/null");
      expect(packets).toContain(`IP ${STRANGER}.`);
      expect(packets).not.toContain(FRIEND);
      expect((await host.run("grep -a -c 'drawbridge default-drop-input-[0-9a-f]* input: ' /run/group")).stdout).not.toBe("0\n");
      expect(await gate.refresh()).toEqual({});
      await gate.up({ ...accessOf(host), hook: "input", management: MANAGEMENT, mode: "log", log: { nflogGroup: 0 } });
      expect(await gate.refresh()).toEqual({});
      // tcpdump makes the group the log of IPv4 for whoever names none, and leaves it so.
      await host.run("sysctl -qw net.netfilter.nf_log.2=nf_log_ipv4; rm /run/group /run/group.log /run/group.pid");
    });
  });

  test("each phase is counted, and what was logged is told by the entry that would let it pass", async () => {
    const gate = await input({ allow: [{ protocol: "tcp", ports: [SHOP], from: [FRIEND], description: "the shop" }] });
    await during([gate], async () => {
      expect([await connects(FRIEND, SHOP), await connects(STRANGER, SHOP)]).toEqual([true, false]);
      const stored = readStored(defaultDrop, gate.outputs);
      // A namespace's own log lines reach no log (nf_log_all_netns is the machine's); the tool that shows them is the host's.
      const packet = (from: string) =>
        `${stored.object} input: IN=eth0 OUT= SRC=${from} DST=${host.address} PROTO=TCP SPT=50000 DPT=${SHOP} SYN `;
      const ring = [
        `[    1.000001] drawbridge ${packet(STRANGER)}`,
        `[    1.000002] tmpfs: Unknown parameter 'drawbridge ${packet("203.0.113.66")}'`,
        `[    1.000003] drawbridge ${packet(FRIEND)}`,
        `[    1.000004] drawbridge ${packet(STRANGER)}`,
      ];
      await host.run(
        "printf '#!/bin/sh\\ncat /root/ring\\n' >/usr/local/sbin/dmesg; chmod 755 /usr/local/sbin/dmesg; cat >/root/ring",
        {
          stdin: ring.join("\n"),
        },
      );
      // A new connection is one more that the management lets in.
      closeConnections();
      const dropped = { spec: defaultDrop, stored };
      const { leaks, unreachable } = await collectLeaks([dropped], 10);
      // What somebody else of the stack lets pass since is nothing to be pasted.
      const later = await make("Allow", "later", { hook: "input", protocol: "tcp", ports: [SHOP], from: { set: "later" } });
      const set = await make("AddressSet", "later", { name: "later", addresses: [STRANGER] });
      const stack = [
        dropped,
        { spec: allow, stored: readStored(allow, later.outputs) },
        { spec: addressSet, stored: readStored(addressSet, set.outputs) },
      ];
      const wantedOf = async (known: typeof stack) =>
        (await collectLeaks([dropped], 10, known)).leaks.flatMap(({ wanted }) => wanted);
      expect(await connects(STRANGER, SHOP)).toBe(true);
      expect([await wantedOf(stack), (await wantedOf(stack.slice(0, 2))).length]).toEqual([[], 1]);
      await later.delete();
      await set.delete();
      await host.run("rm /usr/local/sbin/dmesg /root/ring");
      expect(unreachable).toEqual([]);
      const counted = leaks.flatMap(({ counters }) => counters.flatMap(({ line, packets }) => (packets > 0 ? [line] : [])));
      expect(counted).toEqual([
        "inet 10 pass what belongs to open connections",
        "inet 15 pass management, IPv4",
        "inet 20 allow 001",
        "inet 91 drop the rest",
      ]);
      expect(leaks.map(({ wanted }) => wanted)).toEqual([
        [{ times: 2, allow: { protocol: "tcp", ports: [SHOP], from: [STRANGER], in: "eth0" } }],
      ]);
      // Not even the host's own command shows what only looks like a line of ours.
      expect(leaks.flatMap(({ log }) => log)).toEqual(ring.filter((line) => !line.includes("tmpfs")).map((line) => line.trim()));
    });
  });

  test("without conntrack, each direction is written out", async () => {
    const stateless = { hook: "input", established: false, management: MANAGEMENT, allow: [{ protocol: "tcp", ports: [SHOP] }] };
    const gate = await make("DefaultDrop", "input", stateless);
    await during([gate], async () => {
      expect(await Promise.all([connects(FRIEND, SHOP), connects(FRIEND, OTHER)])).toEqual([true, false]);
      const { stdout } = await host.run("nft list chain inet drawbridge drop.input; nft list table inet drawbridge");
      expect(stdout).not.toMatch(/\bct state\b/);
    });
  });

  test("without conntrack, IPv4 is put together before it is judged, and of IPv6 what has no ports is dropped", async () => {
    const stop = await echo("on the host", "::", [SHOP]);
    const sizes = async () => {
      const answered: [string, number][] = [];
      for (const [from, to] of [
        [FRIEND, host.address],
        [FRIEND6, HERE6],
      ] as const)
        for (const bytes of [100, 3000])
          if (await asks("outside", `${from} 0 ${to} ${SHOP} ${bytes}`)) answered.push([from, bytes]);
      return answered;
    };
    expect(await sizes()).toHaveLength(4);
    const allow = [{ protocol: "udp", ports: [SHOP], from: [FRIEND, FRIEND6] }];
    await during([await input({ established: false, allow })], async () => {
      expect(await sizes()).toEqual([
        [FRIEND, 100],
        [FRIEND, 3000],
        [FRIEND6, 100],
      ]);
    });
    // Of whom an entry names, with `fragments`; a stranger's are dropped.
    const large = { protocol: "udp", ports: [SHOP] };
    const named = [large, { ...large, from: [FRIEND6], fragments: true }];
    await during([await input({ established: false, allow: named })], async () => {
      expect(await sizes()).toHaveLength(4);
      const strangers = [100, 3000].map((bytes) => asks("outside", `${STRANGER6} 0 ${HERE6} ${SHOP} ${bytes}`));
      expect(await Promise.all(strangers)).toEqual([true, false]);
    });
    // Connection tracking puts all of them together first.
    await during([await input({ allow })], async () => expect(await sizes()).toHaveLength(4));
    await stop();
  });

  test("after a reboot with a broken file, the administrator comes in and nobody else", async () => {
    const gate = await input({ allow: [{ protocol: "tcp", ports: [SHOP] }] });
    await during([gate], async () => {
      await host.run(REBOOT);
      expect(await Promise.all([connects(STRANGER, SHOP), connects(STRANGER, OTHER)])).toEqual([true, false]);
      await host.run("sed -i 's/counter name/nonesuch name/' /etc/drawbridge/nft/inet-drawbridge/*default-drop*.nft");
      expect((await host.run(REBOOT, { allowFailure: true })).stderr).toContain("table inet drawbridge did not load");
      closeConnections();
      expect(await Promise.all([connects(STRANGER, SHOP), connects(STRANGER, OTHER)])).toEqual([false, false]);
      // This look comes over a new connection.
      expect(Object.keys(await gate.refresh())).not.toEqual([]);
      await gate.up({ ...accessOf(host), hook: "input", management: MANAGEMENT, allow: [{ protocol: "tcp", ports: [SHOP] }] });
      expect([await connects(STRANGER, SHOP), await gate.refresh()]).toEqual([true, {}]);
    });
  });
});

describe("output", () => {
  const reaches = async (to: string, port: number) =>
    (await host.run(`nc -z -w 1 ${to} ${port}`, { allowFailure: true })).code === 0;

  test("only what is allowed leaves, answers do, and names can be asked for", async () => {
    for (const port of [SHOP, OTHER])
      await host.outside(
        `setsid -f sh -c 'while :; do nc -4 -N -l ${FRIEND} ${port} </dev/null; done' >/dev/null 2>&1 </dev/null`,
      );
    expect([await reaches(FRIEND, SHOP), await reaches(FRIEND, OTHER)]).toEqual([true, true]);
    const gate = await make("DefaultDrop", "output", {
      hook: "output",
      management: MANAGEMENT,
      allow: [{ protocol: "tcp", ports: [SHOP], to: [FRIEND], out: "eth0" }],
    });
    await during([gate], async () => {
      expect([await reaches(FRIEND, SHOP), await reaches(FRIEND, OTHER)]).toEqual([true, false]);
      // Of what came in, the answers leave.
      expect(await connects(STRANGER, OTHER)).toBe(true);
      expect(await gate.refresh()).toEqual({});
    });
  });
});

// The article "Managing IPsec packets with iptables", "Rules for IKE exchange": four rules, without connection tracking.
test("key exchange passes by the article's four rules, both ways and by these ports only", async () => {
  const IKE = [500, 4500];
  const stops = [await echo("on the host", host.address, IKE), await echo("outside", FRIEND, IKE)];
  const inwards = (source: number, port: number) => asks("outside", `${STRANGER} ${source} ${host.address} ${port}`);
  const outwards = (source: number, port: number) => asks("on the host", `${host.address} ${source} ${FRIEND} ${port}`);
  // One after the other: a port has room for one socket.
  const all = async () => [
    await inwards(500, 500),
    await inwards(4500, 4500),
    await inwards(501, 500),
    await inwards(4500, 500),
    await outwards(501, 500),
    await outwards(4501, 4500),
  ];
  expect(await all()).toEqual([true, true, true, true, true, true]);
  const rules = (side: "from" | "to", way: object) =>
    IKE.map((port) => ({ protocol: "udp", sourcePorts: [port], ports: [port], [side]: [host.address], ...way }));
  const common = { established: false, management: MANAGEMENT };
  const gates = [
    await make("DefaultDrop", "input", { ...common, hook: "input", allow: rules("to", { in: "eth0" }) }),
    await make("DefaultDrop", "output", { ...common, hook: "output", allow: rules("from", { out: "eth0" }) }),
  ];
  await during(gates, async () => {
    expect(await all()).toEqual([true, true, false, false, false, false]);
    // Only now may somebody else on the host send from these ports.
    await stops[0]?.();
    expect([await outwards(500, 500), await outwards(4500, 4500), await outwards(500, 4500)]).toEqual([true, true, false]);
    for (const gate of gates) expect(await gate.refresh()).toEqual({});
  });
  await stops[1]?.();
});

describe("what an entry can say beside", () => {
  const gate = (...allow: object[]) => make("DefaultDrop", "input", { hook: "input", management: MANAGEMENT, allow });
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

  test("`until`: it ends by itself, also across a reboot; a deny lets pass again", async () => {
    const end = inSeconds(25);
    const made = [
      await gate({ protocol: "tcp", ports: [SHOP], from: [FRIEND], until: end }, { protocol: "tcp", ports: [OTHER] }),
      await make("Allow", "guest", { hook: "input", protocol: "tcp", ports: [SHOP], from: [FRIEND6], until: end }),
      await make("Deny", "for-now", { hook: "input", from: [STRANGER], until: end }),
      // A clock that was set back.
      await make("Allow", "later", {
        hook: "input",
        protocol: "tcp",
        ports: [SHOP],
        from: [STRANGER6],
        until: `${inSeconds(3600)}/${inSeconds(7200)}`,
      }),
    ];
    const passing = () =>
      Promise.all([connects(FRIEND, SHOP), connects(FRIEND6, SHOP), connects(STRANGER, OTHER), connects(STRANGER6, SHOP)]);
    await during(made, async () => {
      expect(await passing()).toEqual([true, true, false, false]);
      await host.run(REBOOT);
      expect(await passing()).toEqual([true, true, false, false]);
      expect(Date.now()).toBeLessThan(Date.parse(end));
      await sleep(Date.parse(end) - Date.now() + 100);
      expect(await passing()).toEqual([false, false, true, false]);
      for (const one of made) expect(await one.refresh()).toEqual({});
    });
  });

  test('`running: "cut"` on input: what it has opened ends with it, and what another one allows does not', async () => {
    const end = inSeconds(20);
    const [only, both] = [OTHER + 100, OTHER + 200];
    const range = (first: number) => `${first}-${first + 50}`;
    const ends = { protocol: "tcp", ports: [range(only), range(both)], from: [FRIEND], until: end, running: "cut" };
    const keeps = { protocol: "tcp", ports: [range(only)], from: [STRANGER], until: end };
    const drops = await gate(ends, keeps);
    const also = await make("Allow", "also", { hook: "input", protocol: "tcp", ports: [range(both)] });
    await during([drops, also], async () => {
      const flows = [await talk(host, FRIEND, only), await talk(host, STRANGER, only), await talk(host, FRIEND, both)];
      const answers = () => Promise.all(flows.map((one) => one.answers()));
      expect(await answers()).toEqual([true, true, true]);
      expect(Date.now()).toBeLessThan(Date.parse(end));
      await sleep(Date.parse(end) - Date.now() + 100);
      expect(await answers()).toEqual([false, true, true]);
      expect(await drops.refresh()).toEqual({});
      expect(await expired(defaultDrop, drops)).toMatch(
        new RegExp(
          `^allow\\[0\\]\\.until: expired at \\S+; its rules do nothing any more, take it out of the program\nallow\\[1\\]\\.until: .*; what it has let open goes on: tcp ${STRANGER}:\\d+ to ${host.address}:${only + talks - 1}$`,
        ),
      );
      // It does not come back with the entry that has ended.
      await drops.up({ ...accessOf(host), hook: "input", management: MANAGEMENT });
      expect(await answers()).toEqual([false, true, true]);
      for (const one of flows) await one.end();
    });
  });

  test('`running: "cut"` on forward: both ways, also where only the other side speaks', async () => {
    const router = await startHost();
    const FAR = "192.0.2.9";
    await router.run(`sysctl -q net.ipv4.ip_forward=1
      ip netns add far; ip link add out0 type veth peer name end0 netns far; ip address add 192.0.2.1/24 dev out0; ip link set out0 up
      ip -n far address add ${FAR}/24 dev end0; ip -n far link set end0 up; ip -n far route add default via 192.0.2.1`);
    await router.outside(`ip route add ${FAR}/32 via ${router.address}`);
    const [ENDS, KEPT, BOTH, PUBLISHED] = [7400, 7401, 7402, 7500] as const;
    // What is allowed is asked for by the addresses and ports that `forward` sees, on both ways.
    await router.run(`nft 'table ip router {
      chain before { type nat hook prerouting priority -100; udp dport ${PUBLISHED} dnat to ${FAR}:${ENDS}; }
      chain behind { type nat hook postrouting priority 100; oifname "out0" masquerade; }
    }'`);
    await router.run(
      `cat >/run/speak.pl; for port in ${ENDS} ${KEPT} ${BOTH}; do ip netns exec far setsid -f perl /run/speak.pl $port >/dev/null 2>&1 </dev/null; done; sleep 0.5`,
      { stdin: SPEAK },
    );
    const end = inSeconds(20);
    const on = (name: string, args: Props) =>
      Driven.create("Allow", name, { ...accessOf(router), hook: "forward", protocol: "udp", ...args });
    const made = await Promise.all([
      Driven.create("DefaultDrop", "forward", {
        ...accessOf(router),
        hook: "forward",
        allow: [{ protocol: "udp", ports: [KEPT], until: end }],
      }),
      Driven.create("AddressSet", "far", { ...accessOf(router), name: "far", addresses: [FAR] }),
      on("ends", {
        ports: [ENDS, BOTH],
        sourcePorts: ["1024-65535"],
        from: [FRIEND],
        to: { set: "far" },
        in: "eth0",
        out: "out0",
        until: end,
        running: "cut",
      }),
      on("also", { ports: [BOTH] }),
    ]);
    const heard = [
      await listenTo(FRIEND, router.address, PUBLISHED),
      ...(await Promise.all([KEPT, BOTH].map((port) => listenTo(FRIEND, FAR, port)))),
    ];
    const growing = async () => {
      const counts = () => Promise.all(heard.map(({ count }) => count()));
      const before = await counts();
      await sleep(1000);
      const after = await counts();
      return after.map((count, index) => count > (before[index] ?? 0));
    };
    expect(await growing()).toEqual([true, true, true]);
    expect(Date.now()).toBeLessThan(Date.parse(end));
    await sleep(Date.parse(end) - Date.now() + 200);
    expect(await growing()).toEqual([false, true, true]);
    for (const one of made) expect(await one.refresh()).toEqual({});
    expect(await expired(defaultDrop, made[0])).toMatch(
      new RegExp(`; what it has let open goes on: udp ${FRIEND}:\\d+ to ${FAR}:${KEPT}$`),
    );
    // Nor does it without the entry that has ended.
    await made[2].delete();
    expect(await growing()).toEqual([false, true, true]);
    for (const one of heard) await one.end();
    await router.outside(`ip route del ${FAR}/32`);
    await router.down();
  });

  test("`rate`: each source opens so many connections, and no more; what others change forgets nobody", async () => {
    const rate = { connections: 3, per: "hour", burst: 3 };
    const made = [
      await gate({ protocol: "tcp", ports: [SHOP], rate }),
      await make("Allow", "other", { hook: "input", protocol: "tcp", ports: [OTHER], from: [FRIEND] }),
    ];
    const opened = async (...from: string[]) => {
      const all: boolean[] = [];
      for (const one of from) all.push(await connects(one, SHOP));
      return all;
    };
    await during(made, async () => {
      expect(await opened(FRIEND, FRIEND, FRIEND, FRIEND, STRANGER)).toEqual([true, true, true, false, true]);
      // A network of IPv6 is one source.
      expect(await opened(FRIEND6, STRANGER6, FRIEND6, STRANGER6)).toEqual([true, true, true, false]);
      for (const one of made) expect(await one.refresh()).toEqual({});
      const known = async () => (await host.run("nft list table inet drawbridge")).stdout.match(/expires/g)?.length;
      expect(await known()).toBe(3);
      // Two more come and one goes, each by what it changes.
      const limited = await make("Allow", "limited", { hook: "input", protocol: "tcp", ports: [OTHER], from: [STRANGER], rate });
      expect(await Promise.all([connects(STRANGER, OTHER), connects(FRIEND, OTHER)])).toEqual([true, true]);
      await limited.delete();
      expect(await known()).toBe(3);
      expect(await opened(FRIEND, STRANGER, STRANGER, STRANGER)).toEqual([false, true, true, false]);
      // Somebody else has changed something, so that our tables are listed.
      await host.run("nft add table inet others");
      const again = await make("Allow", "again", { hook: "input", protocol: "udp", ports: [OTHER] });
      await again.delete();
      await host.run("nft delete table inet others");
      expect([await known(), ...(await opened(FRIEND))]).toEqual([3, false]);
      for (const one of made) expect(await one.refresh()).toEqual({});
    });
  });

  test("`mac`: of the neighbour that hands it over, and of no other", async () => {
    const { stdout } = await host.outside("ip -o link show labsw | grep -o 'ether [^ ]*' | cut -d ' ' -f 2");
    const [theirs, nobodys] = [stdout.trim().toUpperCase(), "02:00:5e:00:53:01"];
    const deny = await make("Deny", "neighbour", { hook: "input", mac: [nobodys], protocol: "tcp", ports: [SHOP] });
    const made = [
      await gate({ protocol: "tcp", ports: [SHOP] }, { protocol: "tcp", ports: [OTHER], mac: [theirs] }),
      await make("Allow", "nobodys", { hook: "input", protocol: "tcp", ports: [22], from: [STRANGER], mac: [nobodys] }),
      deny,
    ];
    await during(made, async () => {
      expect(await Promise.all([SHOP, OTHER, 22].map((port) => connects(STRANGER, port)))).toEqual([true, true, false]);
      const both = { ...accessOf(host), hook: "input", mac: [nobodys, theirs], protocol: "tcp", ports: [SHOP] };
      await deny.up(both);
      expect(await Promise.all([SHOP, OTHER].map((port) => connects(STRANGER, port)))).toEqual([false, true]);
      expect(await connects(STRANGER6, SHOP)).toBe(false);
      for (const one of made) expect(await one.refresh()).toEqual({});
      // The same without the table.
      await host.run("sed -i 's/counter name/nonesuch name/' /etc/drawbridge/nft/inet-drawbridge/*deny*.nft");
      await host.run(REBOOT, { allowFailure: true });
      expect((await host.run("nft list ruleset")).stdout).toContain(`ether saddr ${theirs.toLowerCase()} tcp dport ${SHOP} drop`);
      await deny.up({ ...both, description: "repaired" });
      expect(await Promise.all([SHOP, OTHER].map((port) => connects(STRANGER, port)))).toEqual([false, true]);
    });
  });

  test("on output, `user`, `group` and `when`: only theirs, and only then; who is gone opens nothing", async () => {
    for (const port of [SHOP + 20, OTHER + 20])
      await host.outside(
        `setsid -f sh -c 'while :; do nc -4 -N -l ${FRIEND} ${port} </dev/null; done' >/dev/null 2>&1 </dev/null`,
      );
    await host.run(
      "mkdir /run/accounts; cp -a /etc/passwd* /etc/shadow* /etc/group* /etc/gshadow* /etc/subuid* /etc/subgid* /run/accounts; useradd -M visitor",
    );
    // The listener is away for a moment behind each connection.
    const reaches = async (user: string, group: string, port: number) =>
      (
        await host.run(
          `for n in 1 2 3; do setpriv --reuid ${user} --regid ${group} --clear-groups nc -z -w 1 ${FRIEND} ${port} && exit; sleep 0.1; done; exit 1`,
          { allowFailure: true },
        )
      ).code === 0;
    const all = async () => [
      await reaches("visitor", "visitor", SHOP + 20),
      await reaches("mybro", "mybro", SHOP + 20),
      await reaches("mybro", "mybro", OTHER + 20),
      await reaches("mybro", "spicegrp", OTHER + 20),
    ];
    expect(await all()).toEqual([true, true, true, true]);
    const user = { hook: "output", user: "visitor", protocol: "tcp", ports: [SHOP + 20], to: [FRIEND], out: "eth0" };
    const out = await make("DefaultDrop", "output", {
      hook: "output",
      management: MANAGEMENT,
      allow: [{ group: "spicegrp", protocol: "tcp", ports: [OTHER + 20] }],
    });
    const visitor = await make("Allow", "visitor", user);
    await during([out, visitor], async () => {
      expect(await all()).toEqual([true, false, false, true]);
      for (const one of [out, visitor]) expect(await one.refresh()).toEqual({});
      const hour = new Date().getUTCHours();
      const clock = (hours: number) => `${String((hours + 24) % 24).padStart(2, "0")}:00`;
      const at = (from: number, to: number) => ({ ...accessOf(host), ...user, when: { hours: `${clock(from)}-${clock(to)}` } });
      await visitor.up(at(hour + 2, hour - 2));
      expect(await all()).toEqual([false, false, false, true]);
      await visitor.up(at(hour - 2, hour + 2));
      expect(await all()).toEqual([true, false, false, true]);
      await expect(make("Allow", "nobody", { ...user, user: "visitr" })).rejects.toThrow(
        /user: there is no user visitr on this host; did you mean "visitor"\?/,
      );
      const { stdout: number } = await host.run("id -u visitor");
      await host.run("userdel visitor");
      expect(Object.keys((await visitor.refresh()) as object).some((id) => id.includes(".user"))).toBe(true);
      await host.run(REBOOT);
      expect(await reaches(number.trim(), "mybro", SHOP + 20)).toBe(false);
      expect(await reaches("mybro", "spicegrp", OTHER + 20)).toBe(true);
    });
    await host.run("cp -a /run/accounts/* /etc; rm -r /run/accounts");
  });
});
