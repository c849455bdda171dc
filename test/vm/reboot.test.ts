import { RemoteHost } from "../../dist/host/remote-host";
import type { Vm } from "../../tools/lab";
import { Driven } from "../lab/drive";
import {
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

describe("a reboot of Debian 12, whose network is brought up by ifupdown", () => {
  const network = "networking.service";
  let vm: Vm;
  let receiver: Receiver | undefined;
  const bridged = { name: "br1", addresses: ["192.0.2.1/24"], mac: "02:00:5e:00:53:01", ageingTimeSeconds: 60 };
  const resources: Driven[] = [];
  const argsOf = (own = {}) => on(vm, { ...fence, ...own });
  const refreshed = () => Promise.all(resources.map((resource) => resource.refresh()));
  const unchanged = () => resources.map(() => ({}));
  const fenceResource = () => resources.find(({ name }) => name === "boot") ?? raise();

  /** What the drawbridge units of this boot have said. */
  const journal = () => said(vm, "journalctl -b -o cat -t drawbridge -u drawbridge.service -u drawbridge-undo.service");

  beforeAll(async () => {
    receiver = await Receiver.open();
    vm = await startOwnVm();
    await installFlood(vm, receiver);
  });
  afterAll(() => receiver?.close());
  afterEach(() => jest.restoreAllMocks());

  test("everything stands again before the network comes up, and not one packet was faster", async () => {
    await vm.run("systemctl enable nftables; systemctl start nftables");
    expect(await pings(vm, PRIVATE)).toBe(true);
    // One transaction: each costs a machine like this many seconds.
    resources.push(
      ...(await Promise.all([
        Driven.create("LeakFence", "boot", argsOf()),
        Driven.create("Bridge", "mute", on(vm, { name: "br0", ageingTimeSeconds: 60 })),
        Driven.create("BridgePort", "tap", on(vm, { bridge: "br0", interface: "tap0", isolated: true })),
        Driven.create("LeakFence", "guests", on(vm, { ...fence, uplink: { interface: "tap0", bridge: "br0" } })),
        Driven.create("Bridge", "addressed", on(vm, bridged)),
        Driven.create("SudoRule", "rule", on(vm, { users: ["myself"], nopasswd: true, commands: [{ path: "/usr/bin/id" }] })),
      ])),
    );
    const look = () =>
      said(
        vm,
        "for family in inet bridge netdev; do nft -s list table $family drawbridge; done; ip -br address show br1; bridge link",
      );
    const standing = await look();
    if (!receiver) throw new Error("nobody listens outside");
    receiver.reset();
    await vm.reboot();
    expect(await said(vm, "systemctl --failed --plain --no-legend")).toBe("");
    expect(receiver.count(PRIVATE)).toBe(0);
    expect(receiver.count(PUBLIC)).toBeGreaterThan(0);
    expect(await look()).toBe(standing);
    expect(await said(vm, "ip -br address show br1")).toContain("192.0.2.1/24");
    await expectLoadedBefore(vm, network);
    expect(await refreshed()).toEqual(unchanged());
    // The port's device comes when a guest is started.
    await vm.run(
      "ip tuntap add tap0 mode tap; for i in $(seq 100); do [ -e /sys/class/net/tap0/brport ] && exit 0; sleep 0.2; done; exit 1",
    );
    expect(await said(vm, "cat /sys/class/net/tap0/brport/isolated")).toBe("1");
    expect(await said(vm, "su -s /bin/sh -c 'sudo -n /usr/bin/id' myself")).toContain("uid=0(root)");
  });

  test("a change that was not confirmed when the power failed is undone, before the network comes up", async () => {
    const standing = await said(vm, "nft -s list table inet drawbridge");
    jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async function (this: RemoteHost, deadline) {
      expect(await said(vm, "nft list table inet drawbridge")).toContain("198.51.100.0");
      // A process that is there in every boot: the number of the worker says nothing.
      await vm.run("echo 1 >$(echo /var/lib/drawbridge/txn/*/worker); sync");
      await vm.cutPower();
      await this.reconnect(deadline);
    });
    await expect(fenceResource().up(argsOf({ networks: ["198.51.100.0/24"] }))).rejects.toMatchObject({
      failure: { code: "undone" },
    });
    expect(await journal()).toContain("was not confirmed in time and is undone");
    expect(await said(vm, "systemctl --failed --plain --no-legend")).toBe("");
    await expectLoadedBefore(vm, network);
    expect(await said(vm, "nft -s list table inet drawbridge")).toBe(standing);
    expect(await said(vm, "ls /var/lib/drawbridge/txn")).toBe("");
    expect(await refreshed()).toEqual(unchanged());
    expect(await pings(vm, PUBLIC)).toBe(true);
    expect(await pings(vm, PRIVATE)).toBe(false);
  });

  test("the power fails while a change is half applied: the host comes back in the old state", async () => {
    const standing = await said(vm, "nft -s list table inet drawbridge; cat /etc/drawbridge/nft/*/*");
    // Files are written, the kernel not told yet.
    const changing = fenceResource()
      .up(argsOf({ networks: ["198.51.100.0/24"] }))
      .catch((error: unknown) => error);
    await vm.run(
      "while ! grep -qs 198.51.100.0 /etc/drawbridge/nft/inet-drawbridge/*; do :; done; echo b >/proc/sysrq-trigger; sleep 5",
      { allowFailure: true },
    );
    await vm.cutPower();
    expect(await changing).toBeInstanceOf(Error);
    expect(await said(vm, "nft -s list table inet drawbridge; cat /etc/drawbridge/nft/*/*")).toBe(standing);
    expect(await journal()).toContain("was not confirmed in time and is undone");
    expect(await refreshed()).toEqual(unchanged());
  });

  test("the power fails right after a confirmation: the host comes back in the new state", async () => {
    await fenceResource().up(argsOf({ networks: ["rfc1918", "198.51.100.0/24"] }));
    await vm.cutPower();
    expect(await said(vm, "nft list table inet drawbridge")).toContain("198.51.100.0");
    expect(await refreshed()).toEqual(unchanged());
    expect(await said(vm, "systemctl --failed --plain --no-legend")).toBe("");
    expect(await pings(vm, PUBLIC)).toBe(true);
    expect(await pings(vm, PRIVATE)).toBe(false);
  });

  test("a damaged table is shut, the rest is loaded; unit, journal and refresh say so; up mends it", async () => {
    await vm.run("for file in /etc/drawbridge/nft/inet-drawbridge/*boot*; do echo 'chain {' >>$file; done; sync");
    await vm.reboot();
    expect(await said(vm, "systemctl is-failed drawbridge.service")).toBe("failed");
    expect(await journal()).toMatch(/table inet drawbridge did not load/);
    expect(await said(vm, "nft list tables")).toMatch(/drawbridge_shut_inet/);
    expect(await said(vm, "nft list table bridge drawbridge")).toContain("tap0");
    // The egress line is another table.
    expect(await pings(vm, PUBLIC)).toBe(true);
    expect(await pings(vm, PRIVATE)).toBe(false);
    const drift = await fenceResource().refresh();
    expect(Object.keys(drift)).toContainEqual(expect.stringMatching(/^file .*inet-drawbridge.*added #1$/));
    await fenceResource().up(argsOf({ networks: ["rfc1918", "198.51.100.0/24"] }));
    await vm.run("systemctl restart drawbridge");
    expect(await said(vm, "systemctl --failed --plain --no-legend")).toBe("");
    expect(await refreshed()).toEqual(unchanged());
  });

  test("where nft does not work any more, nothing is forwarded and no port is put into a bridge, whatever sysctl.d says", async () => {
    await vm.run(`
      echo net.ipv4.ip_forward=1 >/etc/sysctl.d/50-router.conf
      mv /usr/sbin/nft /usr/sbin/nft.real; printf '#!/bin/sh\\necho no such kernel >&2\\nexit 1\\n' >/usr/sbin/nft; chmod 755 /usr/sbin/nft; sync`);
    await vm.reboot();
    expect(await said(vm, "systemctl is-failed drawbridge.service")).toBe("failed");
    expect(await said(vm, "cat /proc/sys/net/ipv4/ip_forward")).toBe("0");
    await vm.run("ip tuntap add tap0 mode tap; udevadm settle; udevadm trigger --settle --action=add /sys/class/net/tap0");
    expect(await said(vm, "ls /sys/class/net/tap0/ | grep brport || :")).toBe("");
    await expect(fenceResource().refresh()).rejects.toThrow(/no such kernel/);
    await vm.run(
      "mv /usr/sbin/nft.real /usr/sbin/nft; rm /etc/sysctl.d/50-router.conf; systemctl reset-failed; systemctl restart nftables drawbridge",
    );
    expect(await said(vm, "ls /sys/class/net/tap0/ | grep brport || :")).toBe("brport");
    expect(await refreshed()).toEqual(unchanged());
  });

  test("nothing of ours is left when the last resource is deleted", async () => {
    await Promise.all(resources.splice(0).map((resource) => resource.delete()));
    expect(await traces(vm)).toBe("");
    await vm.run("systemctl disable --now flood nftables");
    expect(await pings(vm, PRIVATE)).toBe(true);
    expect(await said(vm, "systemctl cat nftables | grep -c drawbridge || :")).toBe("0");
  });
});

function raise(): never {
  throw new Error("an earlier test has not made the fence");
}
