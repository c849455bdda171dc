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

  beforeAll(async () => {
    receiver = await Receiver.open();
    vm = await startOwnVm({ suite: "trixie" });
    await installFlood(vm, receiver);
  });
  afterAll(() => receiver?.close());

  test("a bridge with addresses and an uplink comes back by systemd-networkd, the fence before it, and not one packet was faster", async () => {
    if (!receiver) throw new Error("nobody listens outside");
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
      ageingTimeSeconds: 60,
      vlanFiltering: true,
    };
    const resources = await Promise.all([
      Driven.create("LeakFence", "boot", on(vm, fence)),
      Driven.create("Bridge", "addressed", on(vm, addressed)),
    ]);
    const refreshed = () => Promise.all(resources.map((resource) => resource.refresh()));
    const bridge = () => said(vm, "ip -br address show br1; bridge link show dev nic0 | sed 's/.*master/master/; s/state.*//'");
    const standing = await bridge();
    expect(standing).toMatch(/192\.0\.2\.1\/24 2001:db8:1::1\/64[^]*master br1/);
    expect(await refreshed()).toEqual([{}, {}]);
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
    await Promise.all(resources.map((resource) => resource.delete()));
    expect(await traces(vm)).toBe("");
    expect(await said(vm, "ip -br link show type bridge")).toBe("");
    expect(await pings(vm, PRIVATE)).toBe(true);
  });
});
