import { type LabHost, startHost, type Vm } from "../../tools/lab";
import { Driven } from "../lab/drive";
import { eventually, on, pings, PUBLIC, said, startOwnVm, traces } from "./machine";
import { startRouter } from "./router";

const NETWORK = "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=yes\n";
const SLAAC = "2001:db8:5:";

describe("the addresses of a NIC that has them by DHCP and by router advertisements, by systemd-networkd", () => {
  let router: LabHost;
  let vm: Vm;
  let bridge: Driven;
  let before: string;

  /** What was asked since, "TYPE CLIENT ADDRESS" a line. */
  const asked = async () => (await router.run("cat /run/asked; : >/run/asked")).stdout.trim().split("\n");
  const addresses = (device: string) =>
    said(
      vm,
      `ip -o address show dev ${device} scope global | awk '{ print $4 }' | sort; ip -4 route show default | cut -d' ' -f1-5`,
    );
  const hasBoth = (device: string) =>
    eventually(
      vm,
      `ip -o address show dev ${device} | grep -q "${vm.address}/16 .* dynamic" && ip -o address show dev ${device} | grep -q "${SLAAC}.* dynamic"`,
    );

  beforeAll(async () => {
    router = await startHost();
    vm = await startOwnVm({ suite: "trixie" });
    const mac = await said(vm, "cat /sys/class/net/eth0/address");
    const gateway = await said(vm, "ip -4 route show default | cut -d' ' -f3");
    await startRouter(router, vm, mac, gateway);
    await vm.run("cat >/etc/systemd/network/10-eth0.network && networkctl reload", { stdin: NETWORK });
    await hasBoth("eth0");
    before = await addresses("eth0");
  });
  afterAll(() => router.down());

  const configuration = () => said(vm, "cat /etc/systemd/network/*; ls -la --time-style=+ /etc/systemd/network");

  test("go to the bridge over the connection that uses them, and the server sees the client that it knows", async () => {
    const configured = await configuration();
    const [first = ""] = await asked();
    const client = first.split(" ")[1] ?? "";
    expect(client).toMatch(/^ff[0-9a-f]{16,}$/);
    bridge = await Driven.create("Bridge", "moved", on(vm, { name: "br0", uplink: "eth0", moveAddresses: true }));
    await hasBoth("br0");
    expect(await addresses("br0")).toBe(before.replace("dev eth0", "dev br0"));
    expect(await said(vm, "ip -o address show dev eth0 scope global")).toBe("");
    expect(await pings(vm, PUBLIC)).toBe(true);
    const later = await asked();
    expect(later.length).toBeGreaterThan(0);
    for (const line of later) expect(line).toMatch(new RegExp(`^[13] ${client} `));
    expect(await bridge.refresh()).toEqual({});
    expect(await configuration()).not.toBe(configured);
  });

  test("are the bridge's after a reboot", async () => {
    const linkLocal = () => said(vm, "ip -o address show dev br0 scope link");
    const [itsFirst] = (await linkLocal()).match(/fe80::\S+/) ?? [];
    await vm.reboot();
    await hasBoth("br0");
    // The bridge is there before its uplink is, and has its address all the same.
    expect(await linkLocal()).toContain(itsFirst);
    expect(await said(vm, "ip -o address show dev eth0 scope global")).toBe("");
    expect(await bridge.refresh()).toEqual({});
  });

  test("are the NIC's again when it is deleted, and after the next reboot", async () => {
    await bridge.delete();
    await hasBoth("eth0");
    expect(await addresses("eth0")).toBe(before);
    expect(await said(vm, "cat /etc/systemd/network/*")).toBe(NETWORK.trimEnd());
    expect(await traces(vm)).toBe("");
    await vm.reboot();
    await hasBoth("eth0");
    expect(await said(vm, "ip -br link show type bridge; systemctl --failed --plain --no-legend")).toBe("");
  });
});
