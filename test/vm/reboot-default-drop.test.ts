import { collectStatus } from "../../dist/cli/status";
import { addressSet } from "../../dist/providers/address-set";
import { allow } from "../../dist/providers/allow";
import { defaultDrop } from "../../dist/providers/default-drop";
import { deny } from "../../dist/providers/deny";
import { readStored } from "../../dist/providers/stored";
import { type LabHost, startHost, type Vm } from "../../tools/lab";
import { execute } from "../../tools/lab/process";
import { closeConnections, Driven, type Props } from "../lab/drive";
import { defineTestGate } from "../lab/gate-kind";
import { eventually, on, said, startOwnVm, traces } from "./machine";
import { startRouter } from "./router";

const FRAGMENTS = "inet-drawbridge";
const NETWORK = "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=yes\n";
/** What the router tells the machine, and an address of ours there. */
const SLAAC = "2001:db8:5:";
const NEIGHBOUR6 = "2001:db8:5::99";
const FRIEND = "203.0.113.2";
/** Of an entry of the default drop itself, of an Allow resource, of nobody. */
const [INLINE, BESIDE, INNER] = [7001, 7002, 7003] as const;

const LISTEN = `#!/usr/bin/perl
use Socket qw(:all);
my %open;
for my $port (${[INLINE, BESIDE, INNER].join(", ")}) {
	socket(my $listener, AF_INET6, SOCK_STREAM, 0) or die;
	setsockopt($listener, IPPROTO_IPV6, IPV6_V6ONLY, 0) or die;
	bind($listener, pack_sockaddr_in6($port, inet_pton(AF_INET6, "::"))) or die;
	listen($listener, 128) or die;
	$open{fileno $listener} = $listener;
}
while (1) {
	my $waiting = "";
	vec($waiting, $_, 1) = 1 for keys %open;
	select $waiting, undef, undef, undef;
	for (grep { vec($waiting, $_, 1) } keys %open) { accept(my $connection, $open{$_}) and close $connection }
}
`;

describe("a default drop after a reboot of Debian 13, whose address is a lease", () => {
  let router: LabHost;
  let vm: Vm;
  let gate: Driven;
  let beside: Driven;
  let set: Driven;
  let denies: Driven;
  let helper: Driven;
  let address6 = "";
  const input = (): Props => ({
    hook: "input",
    management: { sources: ["198.18.0.0/16", "2001:db8:5::/64"] },
    basics: { echo: false },
    allow: [{ protocol: "tcp", ports: [INLINE] }],
  });
  const suspects = { name: "suspects", addresses: ["203.0.113.66"] };

  const connects = async (from: string, port: number) => {
    const to = from.includes(":") ? address6 : vm.address;
    return (await router.outside(`nc -z -w 3 -s ${from} ${to} ${port}`, { allowFailure: true })).code === 0;
  };
  /** What a stranger reaches, and that what is needed to reach the host at all works. */
  const seen = async () => ({
    inline: await connects(FRIEND, INLINE),
    beside: await connects(FRIEND, BESIDE),
    inner: await connects(FRIEND, INNER),
    ssh: await connects(FRIEND, 22),
  });

  /** SSH of the administrator, IPv6's neighbour discovery and router advertisements, and the answer of the DHCP server to a renewal. */
  async function expectReachable(): Promise<void> {
    // Every script of this machine comes by SSH from such a source.
    await eventually(vm, `ip -o address show dev eth0 | grep -q "${SLAAC}.* dynamic"`);
    // The neighbour asks anew who has the address, and so does the machine.
    await execute(["ip", "-6", "neigh", "flush", "dev", "labsw"]);
    await vm.run("ip -6 neigh flush dev eth0");
    expect(await connects(NEIGHBOUR6, 22)).toBe(true);
    const left = async () =>
      Number(/valid_lft (\d+)sec/.exec(await said(vm, `ip address show dev eth0 | grep -A 1 ${vm.address}/`))?.[1]);
    await vm.run("sleep 5");
    const before = await left();
    expect(before).toBeLessThan(3_598);
    await vm.run("networkctl renew eth0; sleep 1");
    expect(await left()).toBeGreaterThan(before);
    expect(await said(vm, "ip -4 route show default")).toMatch(/proto dhcp/);
  }

  const journal = () => said(vm, "journalctl -b -o cat -t drawbridge -u drawbridge.service");
  const isFailed = () => said(vm, "systemctl is-failed drawbridge.service");
  const status = async () => {
    const deployed = [
      { spec: defaultDrop, stored: readStored(defaultDrop, gate.outputs) },
      { spec: allow, stored: readStored(allow, beside.outputs) },
      { spec: deny, stored: readStored(deny, denies.outputs) },
      { spec: addressSet, stored: readStored(addressSet, set.outputs) },
    ];
    const { hosts, unreachable } = await collectStatus(deployed);
    expect(unreachable).toEqual([]);
    return hosts[0];
  };
  const refreshed = () => Promise.all([gate, beside, set, denies, helper].map((one) => one.refresh()));
  const NONE = [{}, {}, {}, {}, {}];
  const reboot = async () => {
    await vm.run("sync");
    await vm.reboot();
  };

  beforeAll(async () => {
    defineTestGate();
    router = await startHost();
    vm = await startOwnVm({ suite: "trixie" });
    for (const address of [`${FRIEND}/32`, `${NEIGHBOUR6}/64`])
      await execute(["ip", "address", "replace", address, "dev", "labsw", ...(address.includes(":") ? ["nodad"] : [])]);
    const mac = await said(vm, "cat /sys/class/net/eth0/address");
    const gateway = await said(vm, "ip -4 route show default | cut -d' ' -f3");
    await startRouter(router, vm, mac, gateway);
    await vm.run("cat >/etc/systemd/network/10-eth0.network && networkctl reload", { stdin: NETWORK });
    await vm.run("cat >/usr/local/sbin/listen", { stdin: LISTEN });
    await vm.run(`
      chmod 755 /usr/local/sbin/listen
      printf '%s\\n' '[Service]' ExecStart=/usr/local/sbin/listen '[Install]' WantedBy=multi-user.target >/etc/systemd/system/listen.service
      systemctl daemon-reload; systemctl enable --now listen`);
    await eventually(vm, `ss -ltn | grep -q ":${INNER} "`);
    await eventually(vm, `ip -o address show dev eth0 | grep -q "${SLAAC}.* dynamic"`);
    address6 = (/2001:db8:5:[0-9a-f:]+/.exec(await said(vm, "ip -o address show dev eth0 dynamic")) ?? [])[0] ?? "";
    await eventually(vm, `ip -o address show dev eth0 | grep -q "${vm.address}/16 .* dynamic"`);
  });
  afterAll(async () => {
    closeConnections();
    await execute(["ip", "address", "delete", `${NEIGHBOUR6}/64`, "dev", "labsw"]);
    await router.down();
  });

  test("stands as before: what is allowed passes, the rest does not", async () => {
    expect(await seen()).toEqual({ inline: true, beside: true, inner: true, ssh: true });
    [gate, beside, set, denies, helper] = await Promise.all([
      Driven.create("DefaultDrop", "input", on(vm, input())),
      Driven.create("Allow", "beside", on(vm, { hook: "input", protocol: "tcp", ports: [BESIDE] })),
      Driven.create("AddressSet", "suspects", on(vm, suspects)),
      Driven.create("Deny", "suspects", on(vm, { hook: "input", from: { set: "suspects" } })),
      Driven.create("TestGate", "helper", on(vm, { part: "helper" })),
    ]);
    await reboot();
    expect(await seen()).toEqual({ inline: true, beside: true, inner: false, ssh: false });
    await expectReachable();
    expect(await said(vm, "systemctl --failed --plain --no-legend")).toBe("");
    expect(await refreshed()).toEqual(NONE);
    expect(await status()).toMatchObject({ failClosed: [], faults: [] });
  });

  test("with a helper that the kernel does not have, it stands without what only opens", async () => {
    await vm.run(`sed -i 's/type "tftp"/type "nonesuch"/' /etc/drawbridge/nft/${FRAGMENTS}/*helper*.nft`);
    await reboot();
    expect(await seen()).toEqual({ inline: true, beside: false, inner: false, ssh: false });
    await expectReachable();
    expect(await isFailed()).toBe("failed");
    const words = /stands without what only opens: .*allow-beside.*helper/;
    expect(await journal()).toMatch(words);
    expect(await status()).toMatchObject({
      failClosed: [],
      faults: expect.arrayContaining([expect.stringMatching(words)]) as string[],
    });
    expect(await said(vm, "drawbridge-host status")).toMatch(words);
    const [, ofBeside = {}, , , ofHelper = {}] = await refreshed();
    for (const drift of [ofBeside, ofHelper]) expect(Object.keys(drift)).not.toEqual([]);
  });

  test("where nothing can be left out, only what it is reached by passes", async () => {
    await vm.run(`sed -i '/^# opens$/d' /etc/drawbridge/nft/${FRAGMENTS}/*helper*.nft`);
    await reboot();
    expect(await seen()).toEqual({ inline: false, beside: false, inner: false, ssh: false });
    await expectReachable();
    expect(await isFailed()).toBe("failed");
    expect(await journal()).toMatch(/table inet drawbridge did not load/);
    expect(await status()).toMatchObject({ failClosed: ["inet"] });
    for (const drift of await refreshed()) expect(Object.keys(drift)).not.toEqual([]);
    await helper.up(on(vm, { part: "helper" }));
    expect(await seen()).toEqual({ inline: true, beside: true, inner: false, ssh: false });
    await vm.run("systemctl restart drawbridge");
    expect(await status()).toMatchObject({ failClosed: [], faults: [] });
    expect(await refreshed()).toEqual(NONE);
  });

  test("without the set of a deny, only what it is reached by passes", async () => {
    await vm.run(
      `for folder in /etc/drawbridge /var/lib/drawbridge/confirmed/etc/drawbridge; do rm $folder/nft/${FRAGMENTS}/*address-set*.nft; done`,
    );
    await reboot();
    expect(await seen()).toEqual({ inline: false, beside: false, inner: false, ssh: false });
    await expectReachable();
    const words = /waits for .*set\.suspects\.ipv4\.addresses/;
    expect((await status())?.resources).toContainEqual({
      resource: "Deny suspects",
      state: "waits",
      waitsFor: expect.arrayContaining(["set set.suspects.ipv4.addresses"]) as string[],
    });
    expect(await said(vm, "drawbridge-host status")).toMatch(words);
    expect(await journal()).toMatch(/nobody declares what is denied by, .*: set\.suspects\.ipv4\.addresses /);
    expect(await set.refresh()).not.toEqual({});
    await set.up(on(vm, suspects));
    expect(await seen()).toEqual({ inline: true, beside: true, inner: false, ssh: false });
    expect(await refreshed()).toEqual(NONE);
  });

  test("without nft, what is for the host is open, nothing is forwarded, and all say so", async () => {
    await vm.run("echo net.ipv4.ip_forward=1 >/etc/sysctl.d/50-router.conf; mv /usr/sbin/nft /usr/sbin/nft.away");
    await reboot();
    expect(await seen()).toEqual({ inline: true, beside: true, inner: true, ssh: true });
    await expectReachable();
    expect(await said(vm, "cat /proc/sys/net/ipv4/ip_forward")).toBe("0");
    expect(await isFailed()).toBe("failed");
    const words = /nft is not installed/;
    expect(await journal()).toMatch(words);
    expect(await status()).toMatchObject({ faults: [expect.stringMatching(words)] });
    expect(await said(vm, "drawbridge-host status")).toMatch(words);
    await expect(gate.refresh()).rejects.toThrow(words);
    await vm.run("mv /usr/sbin/nft.away /usr/sbin/nft; rm /etc/sysctl.d/50-router.conf; systemctl restart drawbridge");
    expect(await seen()).toEqual({ inline: true, beside: true, inner: false, ssh: false });
    expect(await refreshed()).toEqual(NONE);
  });

  test("nothing of ours is left when the last resource is deleted", async () => {
    await Promise.all([gate, beside, denies, helper].map((one) => one.delete()));
    await set.delete();
    expect(await traces(vm)).toBe("");
    expect(await seen()).toEqual({ inline: true, beside: true, inner: true, ssh: true });
  });
});
