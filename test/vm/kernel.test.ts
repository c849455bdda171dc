import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { collectLeaks } from "../../dist/cli/leaks";
import { HostError } from "../../dist/core/errors";
import { RemoteHost } from "../../dist/host/remote-host";
import { defaultDrop } from "../../dist/providers/default-drop";
import { readStored } from "../../dist/providers/stored";
import type { GuestOptions, LabGuest, Vm } from "../../tools/lab";
import { Driven } from "../lab/drive";
import { answers, untilAnswered } from "../lab/guests";
import { twoNetworks } from "./esp";
import { eventually, fence, installFlood, on, pings, PRIVATE, PUBLIC, Receiver, said, startOwnVm, traces } from "./machine";

// Debian 12's kernel has what the lab's lacks: VLANs, ESP, modules that are not loaded yet; and it takes no hook for an absent device.
// A transaction takes such a machine many seconds: all tests share one set of resources.
describe("on a kernel of Debian 12, with systemd and udev", () => {
  let vm: Vm;
  let receiver: Receiver | undefined;
  let eth0: Driven, late: Driven, wan: Driven, bridge: Driven;
  let cuts: Driven, keeps: Driven;
  let toCut: Stream, toKeep: Stream;
  const streams: Stream[] = [];
  let portA: Driven, portB: Driven, portC: Driven, portTrunk: Driven, portLate: Driven;
  let a: LabGuest, b: LabGuest, c: LabGuest, trunk: LabGuest;
  const resources = () => [eth0, late, wan, cuts, keeps, bridge, portA, portB, portC, portTrunk, portLate];
  const refreshed = () => Promise.all(resources().map((resource) => resource.refresh()));
  const unchanged = () => resources().map(() => ({}));
  const port = (device: string, own = {}) => on(vm, { bridge: "br0", interface: device, ...own });
  const table = (family: string) => said(vm, `nft -s list table ${family} drawbridge`);

  beforeAll(async () => {
    receiver = await Receiver.open();
    vm = await startOwnVm();
    await vm.run("ip link add late0 type dummy; ip link add br0 type bridge");
    const guest = (name: string, address: string) => vm.guest({ name, addresses: [`${address}/24`], attach: { bridge: "br0" } });
    a = await guest("a", "192.0.2.1");
    b = await guest("b", "192.0.2.2");
    c = await guest("c", "192.0.2.3");
    trunk = await guest("t", "198.51.100.1");
    await vm.run("ip link delete br0");
    await trunk.run(`set -e
      for vlan in 10 20; do
        ip link add link eth0 name eth0.$vlan type vlan id $vlan; ip link set eth0.$vlan up; ip address add 192.0.2.$vlan/24 dev eth0.$vlan
      done
      # Asked in one VLAN, Linux answers for its addresses in all others.
      sysctl -qw net.ipv4.conf.all.arp_ignore=1
      ip route add 192.0.2.1/32 dev eth0.10; ip route add 192.0.2.3/32 dev eth0.20`);
    await vm.run(twoNetworks);
    await vm.run(vlanOfWan);
    // The controls: without fences all of this arrives.
    for (const address of [PRIVATE, PUBLIC, "10.0.5.5", "198.51.100.130"])
      expect([address, await pings(vm, address)]).toEqual([address, true]);
    // Nothing has loaded conntrack yet; these connections are older than the first rule that wants it.
    expect(await said(vm, "grep -c nf_conntrack /proc/modules")).toBe("0");
    [toCut, toKeep] = await Promise.all([Stream.open(vm), Stream.open(vm)]);
    streams.push(toCut, toKeep);
    [eth0, late, wan, cuts, keeps, bridge, portA, portB, portC, portTrunk, portLate] = await Promise.all([
      Driven.create("LeakFence", "eth0", on(vm, fence)),
      Driven.create("LeakFence", "late", on(vm, { ...fence, uplink: "late0" })),
      Driven.create("LeakFence", "wan", on(vm, { ...fence, uplink: "wan0" })),
      Driven.create("OutputGuard", "cuts", on(vm, { ports: [toCut.port] })),
      Driven.create("OutputGuard", "keeps", on(vm, { ports: [toKeep.port], openConnections: "keep" })),
      Driven.create("Bridge", "vlans", on(vm, { name: "br0", vlanFiltering: true })),
      Driven.create("BridgePort", "a", port(a.interface, { pvid: 10 })),
      Driven.create("BridgePort", "b", port(b.interface, { pvid: 10, vids: [30, 31, 32] })),
      Driven.create("BridgePort", "c", port(c.interface, { pvid: 20 })),
      Driven.create("BridgePort", "trunk", port(trunk.interface, { vids: [20, 10] })),
      Driven.create("BridgePort", "late", port("tap0", { isolated: true })),
    ]);
  });
  afterAll(() => {
    receiver?.close();
    for (const stream of streams) stream.close();
  });
  afterEach(() => jest.restoreAllMocks());

  test("a connection that was open before anything followed connections is cut or kept as its guard says", async () => {
    const counts = () => [toCut.arrived, toKeep.arrived] as const;
    const before = counts();
    await sleep(6_000);
    const after = counts();
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBeGreaterThan(before[1]);
    for (const { port } of [toCut, toKeep])
      expect(await said(vm, `${asMybro} nc -w 2 ${PUBLIC} ${port} </dev/null | head -c 4`)).toBe("");
    await vm.run("pkill -u mybro");
  });

  test("the log of a fence names the owner of the host's own packets, and none for those of others", async () => {
    const logged = (fenced: string) => said(vm, `journalctl -k -b -o cat | grep 'drawbridge leak-fence-${fenced}-' | tail -n 1`);
    expect(await pings(vm, PRIVATE)).toBe(false);
    await eventually(vm, "journalctl -k -b -o cat | grep -q 'drawbridge leak-fence-eth0-.*UID=0 '");
    await vm.run("ip netns exec in ping -n -c 1 -W 1 10.0.2.5", { allowFailure: true });
    await eventually(vm, "journalctl -k -b -o cat | grep -q 'drawbridge leak-fence-wan-'");
    expect(await logged("wan")).toMatch(/IN=lan0 OUT=wan0 .*DST=10\.0\.2\.5 /);
    expect(await logged("wan")).not.toContain("UID=");
  });

  test("what a default drop logs is told by the entry that would allow it, and what a local user makes the kernel repeat is not", async () => {
    const elsewhere = { hook: "input", mode: "log", management: { sources: ["192.0.2.77"] } };
    const gate = await Driven.create("DefaultDrop", "rehearsal", on(vm, elsewhere));
    try {
      const stored = readStored(defaultDrop, gate.outputs);
      // The confirmation came over a new connection, which nothing allows.
      await eventually(vm, `journalctl -k -b -o cat | grep -q '^drawbridge ${stored.object} input: .* DPT=22 '`);
      const forged = `drawbridge ${stored.object} input: forged`;
      await vm.run(`setpriv --reuid 65534 --clear-groups unshare -Urm mount -t tmpfs -o '${forged}' none /mnt`, {
        allowFailure: true,
      });
      await eventually(vm, `journalctl -k -b -o cat | grep -q "Unknown parameter '${forged}'"`);
      const { leaks } = await collectLeaks([{ spec: defaultDrop, stored }], 1_000);
      const allows = leaks.flatMap(({ wanted = [] }) => wanted.flatMap((one) => ("allow" in one ? [one.allow] : [])));
      expect(allows).toContainEqual({ protocol: "tcp", ports: [22], from: [expect.any(String)], in: "eth0" });
      const lines = leaks.flatMap(({ log }) => log);
      expect(lines.filter((line) => line.includes(" DPT=22 ")).length).toBeGreaterThan(0);
      expect(lines.filter((line) => line.includes("forged"))).toEqual([]);
    } finally {
      await gate.delete();
    }
  });

  test("what was set stands", async () => {
    expect(await refreshed()).toEqual(unchanged());
  });

  test("nftables.service begins and ends with a flush of all tables: no packet gets through, its own rules are as it wants them", async () => {
    if (!receiver) throw new Error("nobody listens outside");
    await installFlood(vm, receiver);
    const standing = await Promise.all(["inet", "netdev"].map(table));
    for (const verb of ["start", "reload", "restart", "stop"]) {
      await vm.run("nft add table ip another");
      receiver.reset();
      await vm.run(`systemctl ${verb} nftables; sleep 1`);
      expect([verb, receiver.count(PRIVATE)]).toEqual([verb, 0]);
      expect(receiver.count(PUBLIC)).toBeGreaterThan(0);
      expect(await Promise.all(["inet", "netdev"].map(table))).toEqual(standing);
      const tables = await said(vm, "nft list tables");
      expect(tables).not.toContain("another");
      expect(tables.includes("table inet filter")).toBe(verb !== "stop");
      expect(await said(vm, "systemctl --failed --plain --no-legend")).toBe("");
    }
    // The control: a flush that is not the unit's own.
    receiver.reset();
    await vm.run("nft flush ruleset; sleep 1; systemctl start nftables");
    expect(receiver.count(PRIVATE)).toBeGreaterThan(0);
    await vm.run("systemctl disable --now flood; systemctl stop nftables");
    expect(await Promise.all(["inet", "netdev"].map(table))).toEqual(standing);
  });

  test("a configuration of nftables that does not load stays its own failure; ours stands", async () => {
    await vm.run("cp /etc/nftables.conf /root/nftables.conf; echo nonsense >>/etc/nftables.conf");
    expect((await vm.run("systemctl restart nftables", { allowFailure: true })).code).not.toBe(0);
    expect(await said(vm, "journalctl -b -u nftables -o cat")).toContain("nonsense");
    expect(await pings(vm, PUBLIC)).toBe(true);
    expect(await pings(vm, PRIVATE)).toBe(false);
    await vm.run("mv /root/nftables.conf /etc/nftables.conf; systemctl reset-failed");
  });

  test("netfilter-persistent, which loads and flushes rules too, leaves our tables alone", async () => {
    const standing = await table("inet");
    await vm.run("systemctl restart netfilter-persistent; netfilter-persistent flush; systemctl stop netfilter-persistent");
    expect(await table("inet")).toBe(standing);
  });

  test("ports of one VLAN reach each other, others do not; a trunk carries both with their tags", async () => {
    await untilAnswered(a, "192.0.2.2");
    await untilAnswered(a, "192.0.2.10");
    await untilAnswered(c, "192.0.2.20");
    expect(await answers(a, "192.0.2.3")).toBe(false);
    expect(await answers(c, "192.0.2.2")).toBe(false);
    expect(await answers(c, "192.0.2.10")).toBe(false);
    // Somebody's hand is seen, and mended.
    await vm.run(`bridge vlan add dev ${c.interface} vid 10`);
    await sleep(1_100);
    expect(Object.values(await portC.refresh())).toEqual([
      { wanted: `link ${c.interface} vlans 20:pvid:untagged`, found: `link ${c.interface} vlans 10,20:pvid:untagged` },
    ]);
    await Promise.all([portC.up(port(c.interface, { pvid: 10 })), portB.up(port(b.interface, { vids: [] }))]);
    await untilAnswered(c, "192.0.2.1");
    expect(await answers(a, "192.0.2.2")).toBe(false);
    await sleep(1_100);
    expect(await refreshed()).toEqual(unchanged());
  });

  test("what is only bridged passes a default drop on forward: br_netfilter is not there, comes under traffic, and was there before", async () => {
    await vm.run("ip link add br9 type bridge; ip link set br9 up; ip address add 203.0.113.126/26 dev br9");
    const at = (name: string, address: string, gateway: string, attach: GuestOptions["attach"]) =>
      vm.guest({ name, addresses: [`${address}/26`], gateway, attach });
    const [one, other, routed] = [
      await at("one", "203.0.113.65", "203.0.113.126", { bridge: "br9" }),
      await at("other", "203.0.113.66", "203.0.113.126", { bridge: "br9" }),
      await at("routed", "203.0.113.129", "203.0.113.190", { hostAddresses: ["203.0.113.190/26"] }),
    ];
    const seen = async () => [await answers(one, "203.0.113.66"), await answers(one, "203.0.113.129")];
    await untilAnswered(one, "203.0.113.66");
    await untilAnswered(one, "203.0.113.129");
    expect(await said(vm, "grep -c br_netfilter /proc/modules")).toBe("0");
    const drop = () => Driven.create("DefaultDrop", "forward", on(vm, { hook: "forward" }));
    const first = await drop();
    try {
      expect(await seen()).toEqual([true, false]);
      const pinging = one.run("ping -n -q -i 0.02 -c 250 203.0.113.66");
      await sleep(1_000);
      await vm.run("modprobe br_netfilter");
      expect((await pinging).stdout).toMatch(/250 packets transmitted, 250 received/);
      expect(await seen()).toEqual([true, false]);
      // The control: the IP layer does see it.
      await vm.run(
        "nft add table inet watch; nft 'add chain inet watch forward { type filter hook forward priority -10; }'; nft add rule inet watch forward iifname br9 oifname br9 counter",
      );
      expect(await answers(one, "203.0.113.66")).toBe(true);
      expect(await said(vm, "nft list table inet watch")).toMatch(/counter packets [1-9]/);
    } finally {
      await first.delete();
    }
    expect(await seen()).toEqual([true, true]);
    const second = await drop();
    expect(await seen()).toEqual([true, false]);
    await second.delete();
    await Promise.all([one, other, routed].map((guest) => guest.down()));
    await vm.run("nft delete table inet watch; ip link delete br9; modprobe -r br_netfilter");
  });

  test("a default drop of a bridge follows its connections, and judges no other bridge", async () => {
    await vm.run("for bridge in br7 br8; do ip link add $bridge type bridge; ip link set $bridge up; done");
    const at = (bridge: string, name: string, address: string) =>
      vm.guest({ name, addresses: [`${address}/24`], attach: { bridge } });
    const client = await at("br7", "client", "192.168.0.5");
    const server = await at("br7", "server", "192.168.0.16");
    const elsewhere = [await at("br8", "x", "192.168.8.1"), await at("br8", "y", "192.168.8.2")] as const;
    for (const one of [client, server])
      await one.run("setsid -f sh -c 'while nc -l -p 22; do :; done' </dev/null >/dev/null 2>&1");
    const connects = async (from: LabGuest, to: string) =>
      (await from.run(`nc -z -w 2 ${to} 22`, { allowFailure: true })).code === 0;
    const seen = async () => [
      await connects(client, "192.168.0.16"),
      await connects(server, "192.168.0.5"),
      await answers(client, "192.168.0.16"),
      await answers(elsewhere[0], "192.168.8.2"),
    ];
    await untilAnswered(client, "192.168.0.16");
    await untilAnswered(elsewhere[0], "192.168.8.2");
    expect(await seen()).toEqual([true, true, true, true]);
    const ssh = { protocol: "tcp", ports: [22], inPort: client.interface, outPort: server.interface };
    const drop = await Driven.create("DefaultDrop", "bridge", on(vm, { hook: "forward", bridge: "br7", allow: [ssh] }));
    expect(await seen()).toEqual([true, false, false, true]);
    // A port that comes is judged from its first frame.
    const late = await at("br7", "late", "192.168.0.17");
    expect(await answers(late, "192.168.0.16")).toBe(false);
    expect(await drop.refresh()).toEqual({});
    await drop.delete();
    expect(await seen()).toEqual([true, true, true, true]);
    await vm.run("ip link delete br7; ip link delete br8");
  });

  test("a fence's hooks and a port are completed whenever their device appears, with no hand but udev's", async () => {
    const hook = "nft list chain netdev drawbridge egress.late0";
    await vm.run(hook);
    for (let time = 0; time < 2; time++) {
      await vm.run("ip link delete late0");
      await eventually(vm, `! ${hook}`);
      // What appears now loads everything but the one that is absent.
      await vm.run("ip tuntap add tap0 mode tap");
      await eventually(vm, "[ $(cat /sys/class/net/tap0/brport/isolated) = 1 ]");
      expect(await table("inet")).toContain("late0");
      expect(await table("netdev")).not.toContain('late0"');
      await sleep(1_100);
      expect([await late.refresh(), await portLate.refresh()]).toEqual([{}, {}]);
      await vm.run("ip link add late0 type dummy");
      await eventually(vm, hook);
      await vm.run("ip link delete tap0");
    }
    await sleep(1_100);
    expect(await refreshed()).toEqual(unchanged());
    expect(await said(vm, "journalctl -b -t drawbridge -o cat")).not.toContain("did not load");
  });

  test("what leaves by a VLAN's own device meets the fence of the card below it", async () => {
    expect(await pings(vm, "198.51.100.130")).toBe(true);
    expect(await pings(vm, "10.0.5.5")).toBe(false);
  });

  describe("a clock that jumps by an hour", () => {
    const wider = () => on(vm, { ...fence, networks: ["rfc1918", "198.51.100.0/25"] });
    const whileItWaits = (work: (host: RemoteHost, deadline: AbortSignal) => Promise<unknown>) =>
      jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async function (this: RemoteHost, deadline) {
        await work(this, deadline);
      });

    test("back while a change is applied, and on after its confirmation: it stands", async () => {
      const jump = vm.run(
        "until grep -qs 198.51.100.0/26 /etc/drawbridge/nft/inet-drawbridge/*; do :; done; date -s '-1 hour'; ls -A /var/lib/drawbridge/txn",
      );
      await eth0.up(on(vm, { ...fence, networks: ["rfc1918", "198.51.100.0/26"] }));
      // The control: nobody had confirmed it yet.
      expect((await jump).stdout).toMatch(/\n[0-9a-f]{32}\n$/);
      await vm.run("date -s '+2 hours'");
      expect(await eth0.refresh()).toEqual({});
    });

    test("on while a change waits for its confirmation: one in time still confirms", async () => {
      whileItWaits(async (host, deadline) => {
        await vm.run("date -s '+1 hour'");
        await host.reconnect(deadline);
      });
      await eth0.up(wider());
      await sleep(1_100);
      expect(await eth0.refresh()).toEqual({});
    });

    test("on while nobody confirms: the undo comes at its deadline, neither before nor never, and again where it is killed", async () => {
      const standing = await table("inet");
      const changed = on(vm, { ...fence, networks: ["172.16.0.0/12"], confirmDeadlineSeconds: 20 });
      let early = "";
      whileItWaits(async () => {
        await vm.run("date -s '+1 hour'");
        early = await table("inet");
        // It waits for the lock, and meets its end there.
        await vm.run(`flock /run/drawbridge.lock sh -c 'until pkill -KILL -f "[d]rawbridge-host undo"; do sleep 0.2; done'`);
        expect(await table("inet")).toBe(early);
        await eventually(vm, `! ls -A /var/lib/drawbridge/txn | grep .`);
        throw new HostError({ code: "unreachable", host: vm.name, step: "connect", reason: "no route to host" });
      });
      await expect(eth0.up(changed)).rejects.toMatchObject({ failure: { code: "undone" } });
      expect(early).not.toBe(standing);
      expect(await table("inet")).toBe(standing);
    });
  });

  test("the kernel's module for rules is unloaded: the generation begins anew, and the next change finds that nothing stands", async () => {
    await vm.run(`nft flush ruleset
      for n in $(seq 9); do for module in $(lsmod | awk '/^(nf|nft|xt)_|_tables / { print $1 }'); do rmmod $module 2>/dev/null; done; done
      ! lsmod | grep -q '^nf_tables '`);
    // As many changes of others as it takes for the generation that is remembered.
    await vm.run(`remembered=$(cut -d ' ' -f 3 /run/drawbridge/proven/state)
      nft add table ip others
      for n in $(seq "$remembered"); do
        now=$(echo "add chain ip others n$n" | nft -e -f - | sed -n 's/^# new generation \\([0-9]*\\).*/\\1/p')
        [ "$now" -ge "$remembered" ] && break
      done
      [ "$now" -eq "$remembered" ] && nft list tables | grep -qv drawbridge`);
    await eth0.up(on(vm, { ...fence, networks: ["10.0.0.0/8", "172.16.0.0/12"] }));
    expect(await pings(vm, PRIVATE)).toBe(false);
    expect(await refreshed()).toEqual(unchanged());
    await vm.run("nft delete table ip others");
  });

  test("nothing of ours is left when the last resource is deleted", async () => {
    await Promise.all(resources().map((resource) => resource.delete()));
    expect(await traces(vm)).toBe("");
    expect(await said(vm, "ip -br link show type bridge")).toBe("");
    for (const address of [PRIVATE, "10.0.5.5"]) expect(await pings(vm, address)).toBe(true);
  });
});

const asMybro = "setpriv --reuid mybro --regid mybro --clear-groups";

/** A connection of a user of the machine to a server outside, which speaks more often than he does. */
class Stream {
  private bytes = 0;

  private constructor(
    readonly port: number,
    readonly close: () => void,
  ) {}

  /** How many bytes of his have come to the server. */
  get arrived(): number {
    return this.bytes;
  }

  static async open(vm: Vm): Promise<Stream> {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      const timer = setInterval(() => socket.write("tick\n"), 50);
      socket.on("data", (data) => (stream.bytes += data.length));
      socket.on("error", () => undefined);
      socket.on("close", () => clearInterval(timer));
    });
    server.listen(0, PUBLIC);
    await once(server, "listening");
    const stream = new Stream((server.address() as AddressInfo).port, () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    await vm.run(
      `setsid -f ${asMybro} sh -c '{ echo hello; while sleep 1; do echo line; done; } | nc ${PUBLIC} ${stream.port}' >/dev/null 2>&1 </dev/null`,
    );
    while (stream.arrived === 0) await sleep(100);
    return stream;
  }
}

/** A VLAN on wan0, and a private address beyond it. */
const vlanOfWan = `set -e
  ip link add link wan0 name wan0.5 type vlan id 5; ip link set wan0.5 up; ip address add 198.51.100.129/25 dev wan0.5
  ip -n peer link add link p0 name p0.5 type vlan id 5; ip -n peer link set p0.5 up; ip -n peer address add 198.51.100.130/25 dev p0.5
  ip -n peer address add 10.0.5.5/32 dev lo; ip route add 10.0.5.5/32 via 198.51.100.130`;
