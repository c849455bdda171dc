import { setTimeout as sleep } from "node:timers/promises";
import { RemoteHost } from "../../dist/host/remote-host";
import type { LabGuest, Vm } from "../../tools/lab";
import { Driven, type Props } from "../lab/drive";
import { answers, untilAnswered } from "../lab/guests";
import { eventually, fence, installFlood, on, pings, PRIVATE, PUBLIC, Receiver, said, startOwnVm, traces } from "./machine";

// Debian 12's kernel has what the lab's lacks: VLANs, ESP, modules that are not loaded yet; and it takes no hook for an absent device.
describe("on a kernel of Debian 12, with systemd and udev", () => {
  let vm: Vm;

  beforeAll(async () => {
    vm = await startOwnVm();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    expect(await traces(vm)).toBe("");
  });

  describe("nftables.service, whose every command begins with a flush of all tables", () => {
    const table = (family: string) => said(vm, `nft -s list table ${family} drawbridge`);

    test.each(["start", "reload", "restart", "stop"])(
      "%s: no packet gets through, its own rules are as it wants them",
      async (verb) => {
        const receiver = await Receiver.open();
        const resource = await Driven.create("LeakFence", "flushed", on(vm, fence));
        try {
          await vm.run(`systemctl ${verb === "start" ? "stop" : "start"} nftables`);
          await installFlood(vm);
          const standing = await Promise.all(["inet", "netdev"].map(table));
          await vm.run("nft add table ip another");
          receiver.reset();
          await vm.run(`systemctl ${verb} nftables`);
          await sleep(1_000);
          expect(receiver.count(PRIVATE)).toBe(0);
          expect(receiver.count(PUBLIC)).toBeGreaterThan(0);
          expect(await Promise.all(["inet", "netdev"].map(table))).toEqual(standing);
          const tables = await said(vm, "nft list tables");
          expect(tables).not.toContain("another");
          expect(tables.includes("table inet filter")).toBe(verb !== "stop");
          expect(await said(vm, "systemctl --failed --plain --no-legend")).toBe("");
        } finally {
          receiver.close();
          await vm.run("systemctl disable --now flood; rm -f /etc/systemd/system/flood.service; systemctl stop nftables");
          await resource.delete();
        }
      },
    );

    test("a configuration that does not load stays its own failure; ours stands", async () => {
      const resource = await Driven.create("LeakFence", "broken", on(vm, fence));
      await vm.run("cp /etc/nftables.conf /root/nftables.conf; echo nonsense >>/etc/nftables.conf");
      expect((await vm.run("systemctl restart nftables", { allowFailure: true })).code).not.toBe(0);
      expect(await said(vm, "journalctl -b -u nftables -o cat")).toContain("nonsense");
      expect(await pings(vm, PUBLIC)).toBe(true);
      expect(await pings(vm, PRIVATE)).toBe(false);
      await vm.run("mv /root/nftables.conf /etc/nftables.conf; systemctl reset-failed");
      await resource.delete();
    });

    test("others that load rules leave our tables alone", async () => {
      const resource = await Driven.create("LeakFence", "others", on(vm, fence));
      const standing = await table("inet");
      await vm.run("systemctl restart netfilter-persistent; netfilter-persistent flush; systemctl stop netfilter-persistent");
      expect(await table("inet")).toBe(standing);
      await vm.run("nft delete table ip filter; nft delete table ip6 filter; true");
      await vm.run(
        "for f in ip ip6; do for t in filter nat mangle raw security; do nft delete table $f $t; done; done 2>/dev/null; true",
      );
      await resource.delete();
    });
  });

  describe("VLANs of a bridge, by packets", () => {
    test("ports of one VLAN reach each other, others do not; a trunk carries both with their tags", async () => {
      const bridge = await Driven.create("Bridge", "vlans", on(vm, { name: "br0", vlanFiltering: true }));
      const guest = async (name: string, address: string): Promise<LabGuest> => {
        const made = await vm.guest({ name, addresses: [`${address}/24`], attach: { bridge: "br0" } });
        await vm.run(`ip link set ${made.interface} nomaster`);
        return made;
      };
      const [a, b, c, trunk] = [
        await guest("a", "192.0.2.1"),
        await guest("b", "192.0.2.2"),
        await guest("c", "192.0.2.3"),
        await guest("t", "198.51.100.1"),
      ];
      const argsOf = (one: LabGuest, own: Props) => on(vm, { bridge: "br0", interface: one.interface, ...own });
      const [portA, portB, portC, portT] = await Promise.all([
        Driven.create("BridgePort", "a", argsOf(a, { pvid: 10 })),
        Driven.create("BridgePort", "b", argsOf(b, { pvid: 10, vids: [30, 31, 32] })),
        Driven.create("BridgePort", "c", argsOf(c, { pvid: 20 })),
        Driven.create("BridgePort", "t", argsOf(trunk, { vids: [20, 10] })),
      ]);
      await trunk.run(`for vlan in 10 20; do
        ip link add link eth0 name eth0.$vlan type vlan id $vlan && ip link set eth0.$vlan up && ip address add 192.0.2.$vlan/24 dev eth0.$vlan; done
        ip route add 192.0.2.1/32 dev eth0.10; ip route add 192.0.2.3/32 dev eth0.20`);
      await untilAnswered(a, "192.0.2.2");
      await untilAnswered(a, "192.0.2.10");
      await untilAnswered(c, "192.0.2.20");
      expect(await answers(a, "192.0.2.3")).toBe(false);
      expect(await answers(c, "192.0.2.2")).toBe(false);
      expect(await answers(c, "192.0.2.10")).toBe(false);
      for (const resource of [bridge, portA, portB, portC, portT]) expect(await resource.refresh()).toEqual({});
      // Somebody's hand is seen, and mended.
      await vm.run(`bridge vlan add dev ${c.interface} vid 10`);
      await sleep(1_100);
      expect(Object.values(await portC.refresh())).toEqual([
        { wanted: `link ${c.interface} vlans 20:pvid:untagged`, found: `link ${c.interface} vlans 10,20:pvid:untagged` },
      ]);
      await portC.up(argsOf(c, { pvid: 10 }));
      await untilAnswered(c, "192.0.2.2");
      await portB.up(argsOf(b, { vids: [] }));
      expect(await answers(c, "192.0.2.2")).toBe(false);
      await sleep(1_100);
      expect(await portB.refresh()).toEqual({});
      await portA.delete();
      expect(await said(vm, `bridge vlan show dev ${a.interface}`)).not.toContain("10");
      await Promise.all([portB, portC, portT].map((port) => port.delete()));
      await bridge.delete();
      for (const each of [a, b, c, trunk]) await each.down();
    });
  });

  describe("devices that appear late, with no hand but udev's", () => {
    test("a fence's hooks and a port are completed at each appearance", async () => {
      const bridge = await Driven.create("Bridge", "late", on(vm, { name: "br0" }));
      const port = await Driven.create("BridgePort", "late", on(vm, { bridge: "br0", interface: "tap0", isolated: true }));
      await vm.run("ip link add late0 type dummy");
      const late = await Driven.create("LeakFence", "late", on(vm, { uplink: "late0", networks: ["rfc1918"] }));
      const hook = "nft list chain netdev drawbridge egress.late0";
      for (let time = 0; time < 2; time++) {
        await vm.run("ip link delete late0");
        await eventually(vm, `! ${hook}`);
        // What else appears loads the rest, without the absent one.
        await vm.run("ip tuntap add tap0 mode tap");
        await eventually(vm, "[ $(cat /sys/class/net/tap0/brport/isolated) = 1 ]");
        expect(await said(vm, "nft list table inet drawbridge")).toContain("late0");
        await sleep(1_100);
        expect(await late.refresh()).toEqual({});
        await vm.run("ip link add late0 type dummy");
        await eventually(vm, hook);
        await sleep(1_100);
        expect([await late.refresh(), await port.refresh()]).toEqual([{}, {}]);
        await vm.run("ip link delete tap0");
      }
      expect(await said(vm, "journalctl -b -t drawbridge -o cat")).not.toContain("did not load");
      for (const resource of [late, port, bridge]) await resource.delete();
      await vm.run("ip link delete late0");
    });
  });

  describe("beside a tunnel of IPsec", () => {
    const peer = "10.0.2.5";
    const inside = "10.0.1.9";
    const ends = "proto esp reqid 1 mode tunnel";
    const keys = `${ends} enc 'cbc(aes)' 0x00112233445566778899aabbccddeeff auth 'hmac(sha256)' 0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff`;
    const [home, away] = ["203.0.113.2", "203.0.113.9"];
    const policies = `
      ip xfrm policy add src 10.0.1.0/24 dst 10.0.2.0/24 dir out tmpl src ${home} dst ${away} ${ends}
      for way in fwd in; do ip xfrm policy add src 10.0.2.0/24 dst 10.0.1.0/24 dir $way tmpl src ${away} dst ${home} ${ends}; done
      ip -n peer xfrm policy add src 10.0.2.0/24 dst 10.0.1.0/24 dir out tmpl src ${away} dst ${home} ${ends}
      ip -n peer xfrm policy add src 10.0.1.0/24 dst 10.0.2.0/24 dir in tmpl src ${home} dst ${away} ${ends}`;

    test("what goes into the tunnel passes the fence, what would go beside it does not, with and without a VLAN's tag", async () => {
      await vm.run(`set -e
        ip netns add peer; ip netns add in
        ip link add wan0 type veth peer name p0 netns peer; ip link add lan0 type veth peer name i0 netns in
        ip address add ${home}/24 dev wan0; ip link set wan0 up; ip address add 10.0.1.1/24 dev lan0; ip link set lan0 up
        ip -n peer link set lo up; ip -n peer address add ${away}/24 dev p0; ip -n peer link set p0 up
        ip -n peer address add ${peer}/32 dev lo; ip -n peer route add 10.0.1.0/24 via ${home} src ${peer}
        ip -n in address add ${inside}/24 dev i0; ip -n in link set i0 up; ip -n in route add default via 10.0.1.1
        ip route add 10.0.2.0/24 via ${away}
        ip link add link wan0 name wan0.5 type vlan id 5; ip link set wan0.5 up; ip address add 198.51.100.1/24 dev wan0.5
        ip -n peer link add link p0 name p0.5 type vlan id 5; ip -n peer link set p0.5 up; ip -n peer address add 198.51.100.2/24 dev p0.5
        ip -n peer address add 10.0.5.5/32 dev lo; ip route add 10.0.5.5/32 via 198.51.100.2
        sysctl -qw net.ipv4.ip_forward=1
        for in in '' '-n peer'; do
          ip $in xfrm state add src ${away} dst ${home} spi 0x101 ${keys}
          ip $in xfrm state add src ${home} dst ${away} spi 0x102 ${keys}
        done`);
      const reaches = async (address: string) =>
        (await vm.run(`ip netns exec in ping -n -c 1 -W 2 ${address} >/dev/null`, { allowFailure: true })).code === 0;
      const clear = () => vm.run("ip xfrm policy flush; ip -n peer xfrm policy flush");
      const fences = () => Driven.create("LeakFence", "tunnel", on(vm, { uplink: "wan0", networks: ["rfc1918"] }));
      expect(await reaches(peer)).toBe(true);
      expect(await pings(vm, "10.0.5.5")).toBe(true);
      const resource = await fences();
      expect(await reaches(peer)).toBe(false);
      expect(await pings(vm, "198.51.100.2")).toBe(true);
      expect(await pings(vm, "10.0.5.5")).toBe(false);
      await vm.run(policies);
      expect(await reaches(peer)).toBe(true);
      expect(
        await said(vm, "ip -s xfrm state get src 203.0.113.2 dst 203.0.113.9 proto esp spi 0x102 | grep -A1 'lifetime current'"),
      ).toMatch(/[1-9]\d*\(packets\)/);
      await clear();
      expect(await reaches(peer)).toBe(false);
      await resource.delete();
      expect(await reaches(peer)).toBe(true);
      await vm.run(
        "ip xfrm state flush; ip netns delete peer; ip netns delete in; ip route flush 10.0.2.0/24; sysctl -qw net.ipv4.ip_forward=0",
      );
    });
  });

  describe("a clock that jumps while a change waits for its confirmation", () => {
    const whileItWaits = (work: (host: RemoteHost, deadline: AbortSignal) => Promise<unknown>) =>
      jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async function (this: RemoteHost, deadline) {
        await work(this, deadline);
      });

    test.each(["+1 hour", "-1 hour"])("by %s: a confirmation in time still confirms", async (jump) => {
      whileItWaits(async (host, deadline) => {
        await vm.run(`date -s '${jump}'`);
        await host.reconnect(deadline);
      });
      const resource = await Driven.create("LeakFence", "clock", on(vm, fence));
      await sleep(1_100);
      expect(await resource.refresh()).toEqual({});
      await resource.delete();
    });

    test.each(["+1 hour", "-1 hour"])("by %s: the undo comes at the deadline, neither before nor never", async (jump) => {
      let applied = 0;
      whileItWaits(async () => {
        applied = Date.now();
        await vm.run(`date -s '${jump}'`);
        await sleep(3_000);
        expect(await said(vm, "nft list tables")).toContain("inet drawbridge");
        await eventually(vm, "! nft list table inet drawbridge");
        throw new Error("nobody confirms");
      });
      await expect(Driven.create("LeakFence", "clock", on(vm, { ...fence, confirmDeadlineSeconds: 20 }))).rejects.toThrow();
      expect(applied).toBeGreaterThan(0);
      await eventually(vm, "! ls -A /var/lib/drawbridge");
    });
  });
});
