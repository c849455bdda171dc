import type { Vm } from "../../tools/lab";
import { Driven } from "../lab/drive";
import { untilAnswered } from "../lab/guests";
import {
  eventually,
  expectLoadedBefore,
  fence,
  installFlood,
  on,
  pings,
  PRIVATE,
  PUBLIC,
  Receiver,
  said,
  startOwnVm,
  traces,
} from "./machine";

describe("a reboot of Debian 13, whose network is brought up by systemd-networkd", () => {
  let vm: Vm;
  let receiver: Receiver | undefined;
  let resources: readonly Driven[] = [];
  let standing = "";
  const refreshed = () => Promise.all(resources.map((resource) => resource.refresh()));
  // The kernel's own link-local address comes when it likes.
  const bridge = () =>
    said(
      vm,
      "ip -o address show dev br1 scope global | awk '{ print $4 }' | sort; bridge link show dev nic0 | sed 's/.*master/master/; s/state.*//'",
    );

  beforeAll(async () => {
    receiver = await Receiver.open();
    vm = await startOwnVm({ suite: "trixie" });
    await installFlood(vm, receiver);
  });
  afterAll(() => receiver?.close());

  test("a bridge with addresses and an uplink stands in systemd-networkd's configuration", async () => {
    // A NIC that is there at every boot.
    await vm.run(`printf '[NetDev]\\nName=nic0\\nKind=dummy\\n' >/etc/systemd/network/30-nic0.netdev; networkctl reload`);
    await eventually(vm, "[ -e /sys/class/net/nic0 ]");
    const addressed = {
      name: "br1",
      uplink: "nic0",
      addresses: ["192.0.2.1/24", "2001:db8:1::1/64"],
      mac: "02:00:5e:00:53:01",
      stp: true,
      forwardDelaySeconds: 4,
      priority: 4096,
      vlanFiltering: true,
    };
    resources = await Promise.all([
      Driven.create("LeakFence", "boot", on(vm, fence)),
      Driven.create("Bridge", "addressed", on(vm, addressed)),
    ]);
    standing = await bridge();
    expect(standing).toMatch(/192\.0\.2\.1\/24\n2001:db8:1::1\/64\nmaster br1/);
    expect(await refreshed()).toEqual([{}, {}]);
  });

  test("after a reboot it is there again, the fence before it, and not one packet was faster", async () => {
    if (!receiver) throw new Error("nobody listens outside");
    receiver.reset();
    await vm.reboot();
    expect(await said(vm, "systemctl --failed --plain --no-legend")).toBe("");
    expect(receiver.count(PRIVATE)).toBe(0);
    expect(receiver.count(PUBLIC)).toBeGreaterThan(0);
    await expectLoadedBefore(vm, "systemd-networkd.service");
    await eventually(vm, "ip -br address show br1 | grep 192.0.2.1");
    expect(await bridge()).toBe(standing);
    expect(await refreshed()).toEqual([{}, {}]);
    expect(await pings(vm, PUBLIC)).toBe(true);
    expect(await pings(vm, PRIVATE)).toBe(false);
    const guest = await vm.guest({ name: "g", addresses: ["192.0.2.2/24"], attach: { bridge: "br1" } });
    await untilAnswered(guest, "192.0.2.1");
    await guest.down();
  });

  test("nothing of ours is left when both are deleted", async () => {
    await Promise.all(resources.map((resource) => resource.delete()));
    expect(await traces(vm)).toBe("");
    expect(await said(vm, "ip -br link show type bridge")).toBe("");
    expect(await pings(vm, PRIVATE)).toBe(true);
  });
});
