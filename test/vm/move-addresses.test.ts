import { RemoteHost } from "../../dist/host/remote-host";
import type { Vm } from "../../tools/lab";
import { Driven } from "../lab/drive";
import { on, pings, PUBLIC, said, startOwnVm, traces } from "./machine";

const moved = { name: "br0", uplink: "eth0", moveAddresses: true };

const standing = (vm: Vm, device: string) =>
  said(
    vm,
    `ip -o address show dev ${device} scope global | awk '{ print $4 }' | sort; for version in 4 6; do ip -$version route show default dev ${device} | cut -d' ' -f1-3; done`,
  );

describe.each([
  [
    "bookworm",
    "ifupdown",
    // Boot writes the lab's addresses into /run; a machine of one's own has them in /etc.
    "cp /run/lab/eth0 /etc/network/interfaces.d/eth0 && sed -i '/run.lab/d' /etc/network/interfaces && sync",
    "cat /etc/network/interfaces /etc/network/interfaces.d/*; ls -la --time-style=+ /etc/network /etc/network/interfaces.d",
  ],
  ["trixie", "systemd-networkd", "true", "cat /run/systemd/network/*; ls -la --time-style=+ /etc/systemd/network"],
] as const)("the addresses of a NIC on %s, configured by %s", (suite, _by, prepare, configuration) => {
  let vm: Vm;
  let bridge: Driven;
  let had: string;
  let before: string;

  beforeAll(async () => {
    vm = await startOwnVm({ suite });
    await vm.run(prepare);
    had = await standing(vm, "eth0");
    before = await said(vm, configuration);
  });

  afterEach(() => jest.restoreAllMocks());

  const expectAsBefore = async () => {
    expect(await standing(vm, "eth0")).toBe(had);
    expect(await said(vm, configuration)).toBe(before);
    expect(await said(vm, "ip -br link show type bridge; systemctl --failed --plain --no-legend")).toBe("");
    expect(await pings(vm, PUBLIC)).toBe(true);
  };

  const expectMoved = async () => {
    expect(await standing(vm, "br0")).toBe(had);
    expect(await standing(vm, "eth0")).toBe("");
    expect(await said(vm, "ls /sys/class/net/br0/brif")).toBe("eth0");
    expect(await pings(vm, PUBLIC)).toBe(true);
    expect(await said(vm, "systemctl --failed --plain --no-legend")).toBe("");
  };

  test("are the NIC's again, by the host itself, where the bridge cannot be reached", async () => {
    // Meets what a bridge sends, and no plain interface.
    await vm.run(
      "nft 'table bridge lockout { chain out { type filter hook output priority 0; counter name \"met\"; drop; }; counter met { }; }'",
    );
    await expect(Driven.create("Bridge", "lockout", on(vm, { ...moved, confirmDeadlineSeconds: 60 }))).rejects.toMatchObject({
      failure: { code: "undone" },
    });
    expect(await said(vm, "nft list counter bridge lockout met | grep -c 'packets [1-9]'")).toBe("1");
    await vm.run("nft delete table bridge lockout");
    await expectAsBefore();
  });

  test("are the NIC's again, by boot, where the power fails in the middle of the move", async () => {
    const moving = Driven.create("Bridge", "half", on(vm, moved)).catch((error: unknown) => error);
    await vm.run("while [ ! -e /sys/class/net/br0/brif/eth0 ]; do :; done; echo b >/proc/sysrq-trigger; sleep 5", {
      allowFailure: true,
    });
    await vm.cutPower();
    expect(await moving).toBeInstanceOf(Error);
    await expectAsBefore();
    expect(await said(vm, "ls /var/lib/drawbridge/txn")).toBe("");
  });

  test("are the NIC's again, by boot, where the power fails before the move was confirmed", async () => {
    jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async function (this: RemoteHost, deadline) {
      // The control: all has moved, down to what boot would do.
      expect(await standing(vm, "br0")).toBe(had);
      expect(await said(vm, configuration)).not.toBe(before);
      // A process that is there in every boot: the number of the worker says nothing.
      await vm.run("echo 1 >$(echo /var/lib/drawbridge/txn/*/worker); sync");
      await vm.cutPower();
      await this.reconnect(deadline);
    });
    await expect(Driven.create("Bridge", "unconfirmed", on(vm, moved))).rejects.toMatchObject({ failure: { code: "undone" } });
    await expectAsBefore();
    expect(await said(vm, "ls /var/lib/drawbridge/txn")).toBe("");
  });

  test("move to the bridge over the connection that uses them", async () => {
    expect(had).toMatch(/198\.18\.[^]*2001:db8:77:[^]*default via 198\.18\.0\.1\ndefault via 2001:db8:77::1/);
    bridge = await Driven.create("Bridge", "moved", on(vm, moved));
    await expectMoved();
    expect(await bridge.refresh()).toEqual({});
  });

  test("are the bridge's after a reboot", async () => {
    await vm.reboot();
    await expectMoved();
    expect(await bridge.refresh()).toEqual({});
  });

  test("are the NIC's again when it is deleted, and after the next reboot", async () => {
    await bridge.delete();
    expect(await standing(vm, "eth0")).toBe(had);
    expect(await said(vm, configuration)).toBe(before);
    expect(await traces(vm)).toBe("");
    await vm.reboot();
    await expectAsBefore();
  });
});
