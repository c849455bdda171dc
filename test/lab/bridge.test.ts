import type { LabGuest, LabHost } from "../../tools/lab";
import { accessOf, check, Driven, type Props } from "./drive";
import { answers, startOwnHost, untilAnswered } from "./guests";

const on = (host: LabHost, own: Props): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, ...own });
const read = async (host: LabHost, path: string) => (await host.run(`cat ${path}`)).stdout.trim();

describe("a bridge, by packets", () => {
  test("forwards at once, without the kernel's 30 seconds of listening and learning", async () => {
    const host = await startOwnHost();
    const bridge = await Driven.create("Bridge", "quick", on(host, { name: "br0" }));
    const [a, b] = await guestsOn(host, "br0");
    const started = Date.now();
    while (!(await answers(a, "192.0.2.2"))) if (Date.now() - started > 20_000) throw new Error("the bridge does not forward");
    expect(await host.run("cat /sys/class/net/veth-b/brport/state")).toMatchObject({ stdout: "3\n" });
    // The control: asked for, the delay is there.
    await bridge.up(on(host, { name: "br0", stp: true, forwardDelaySeconds: 30 }));
    await host.run("ip link set veth-b down; ip link set veth-b up");
    expect(await answers(a, "192.0.2.2")).toBe(false);
    expect(Number(await read(host, "/sys/class/net/veth-b/brport/state"))).toBeLessThan(3);
    await Promise.all([a, b].map((guest) => guest.down()));
    await bridge.delete();
  });

  test("without addresses it answers for none of the host's, which Linux does by default", async () => {
    const host = await startOwnHost();
    await host.run("ip link add br9 type bridge && ip link set br9 up && ip address add 192.0.2.9/32 dev eth0");
    const plain = await host.guest({ name: "p", addresses: ["192.0.2.1/24"], attach: { bridge: "br9" } });
    const bridge = await Driven.create("Bridge", "mute", on(host, { name: "br0" }));
    const fenced = await host.guest({ name: "f", addresses: ["192.0.2.1/24"], attach: { bridge: "br0" } });
    // The kernel does not answer at all where it filters by return path and the interface has no address.
    await host.run("sysctl -qw net.ipv4.conf.br9.rp_filter=0 net.ipv4.conf.br0.rp_filter=0");
    const resolves = async (guest: LabGuest) => {
      await answers(guest, "192.0.2.9");
      return / lladdr /.test((await guest.run("ip neigh show 192.0.2.9")).stdout);
    };
    expect(await resolves(plain)).toBe(true);
    expect(await resolves(fenced)).toBe(false);
    expect((await host.run("ip -6 address show dev br0")).stdout).toBe("");
    expect((await host.run("ip -6 address show dev br9")).stdout).toContain("fe80:");
    await Promise.all([plain, fenced].map((guest) => guest.down()));
    await bridge.delete();
  });

  test("ages: a silent guest's frames are flooded again after ageingTimeSeconds, and not before", async () => {
    const host = await startOwnHost();
    const bridge = await Driven.create("Bridge", "ages", on(host, { name: "br0", ageingTimeSeconds: 300 }));
    const [a, b] = await guestsOn(host, "br0");
    const c = await host.guest({ name: "c", addresses: ["192.0.2.3/24"], attach: { bridge: "br0" } });
    const macOfB = (await b.run("cat /sys/class/net/eth0/address")).stdout.trim();
    await a.run(`ip neigh replace 192.0.2.2 lladdr ${macOfB} dev eth0 nud permanent`);
    const floodedTo = async (guest: LabGuest) => {
      const count = async () => Number((await guest.run("cat /sys/class/net/eth0/statistics/rx_packets")).stdout);
      const before = await count();
      await a.run("for i in 1 2 3 4 5 6 7 8 9 10; do ping -n -c 1 -W 0.05 192.0.2.2 >/dev/null; done; :");
      return (await count()) - before >= 10;
    };
    // b does not answer, so that its address is not learned anew.
    await answers(b, "192.0.2.1");
    await b.run("echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all");
    expect(await floodedTo(c)).toBe(false);
    await bridge.up(on(host, { name: "br0", ageingTimeSeconds: 1 }));
    await host.run(
      "for i in $(seq 100); do bridge fdb show br br0 | grep -q '" +
        macOfB +
        ".* master br0 *$' || exit 0; sleep 0.2; done; exit 1",
    );
    expect(await floodedTo(c)).toBe(true);
    await Promise.all([a, b, c].map((guest) => guest.down()));
    await bridge.delete();
  });

  test("two bridges of one host do not hear each other, and each takes its own settings", async () => {
    const host = await startOwnHost();
    const before = await host.fingerprint();
    const [one, two] = await Promise.all([
      Driven.create("Bridge", "one", on(host, { name: "br1", ageingTimeSeconds: 30 })),
      Driven.create("Bridge", "two", on(host, { name: "br2", ageingTimeSeconds: 60 })),
    ]);
    const a = await host.guest({ name: "a", addresses: ["192.0.2.1/24"], attach: { bridge: "br1" } });
    const b = await host.guest({ name: "b", addresses: ["192.0.2.2/24"], attach: { bridge: "br1" } });
    const c = await host.guest({ name: "c", addresses: ["192.0.2.3/24"], attach: { bridge: "br2" } });
    await untilAnswered(a, "192.0.2.2");
    expect(await answers(a, "192.0.2.3")).toBe(false);
    expect(await read(host, "/sys/class/net/br1/bridge/ageing_time")).toBe("3000");
    expect(await read(host, "/sys/class/net/br2/bridge/ageing_time")).toBe("6000");
    await Promise.all([a, b, c].map((guest) => guest.down()));
    await Promise.all([one.delete(), two.delete()]);
    expect(await host.fingerprint()).toBe(before);
  });
});

describe("a bridge with addresses", () => {
  const addressed = {
    name: "br0",
    addresses: ["192.0.2.1/24", "2001:DB8::1/64"],
    gateway: "192.0.2.254",
    gateway6: "2001:db8::fe",
    ageingTimeSeconds: 60,
  };

  test.each([
    ["ifupdown", "true", "/etc/network/interfaces.d/drawbridge-"],
    [
      "systemd-networkd",
      "mkdir -p /etc/systemd/system/multi-user.target.wants && ln -s /lib/systemd/system/systemd-networkd.service /etc/systemd/system/multi-user.target.wants/",
      "/etc/systemd/network/05-drawbridge-",
    ],
  ])("persists in %s's configuration, and only there", async (_name, prepare, place) => {
    const host = await startOwnHost();
    await host.run(`ip route delete default; ip -6 route delete default; ${prepare}`);
    const before = await host.fingerprint();
    const bridge = await Driven.create("Bridge", "addressed", on(host, addressed));
    const guest = await host.guest({ name: "g", addresses: ["192.0.2.2/24", "2001:db8::2/64"], attach: { bridge: "br0" } });
    await untilAnswered(guest, "192.0.2.1");
    // Duplicate address detection takes a second.
    await guest.run("for i in $(seq 50); do ping -n -c 1 -W 1 2001:db8::1 && exit 0; sleep 0.2; done; exit 1");
    expect((await host.run("ip route show default dev br0; ip -6 route show default dev br0")).stdout).toMatch(
      /192\.0\.2\.254[^]*2001:db8::fe/,
    );
    const files = (await host.run("grep -rl 'br0' /etc/network /etc/systemd/network /etc/drawbridge 2>/dev/null || :")).stdout
      .trim()
      .split("\n");
    for (const file of files) expect(file).toContain(place);
    expect(await bridge.refresh()).toEqual({});
    await bridge.up(on(host, { ...addressed, addresses: ["192.0.2.3/24"], gateway6: undefined }));
    await untilAnswered(guest, "192.0.2.3");
    expect(await answers(guest, "192.0.2.1")).toBe(false);
    await guest.down();
    await bridge.delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test("ifupdown itself makes the same of the file, as it would at boot", async () => {
    const host = await startOwnHost();
    await host.run("ip route delete default; ip -6 route delete default; ip tuntap add nic0 mode tap");
    const all = { ...addressed, uplink: "nic0", mac: "02:00:5e:00:53:07", stp: true, forwardDelaySeconds: 4, priority: 4096 };
    const bridge = await Driven.create("Bridge", "addressed", on(host, all));
    const state = () =>
      host.run(
        "ip -d -j link show br0; ip -j -d address show br0; ip route show default dev br0; ip -6 route show default dev br0",
      );
    const steady = (text: string) =>
      text
        .replace(/"(ifindex|\w+_timer|\w*life_time|tentative)":[^,}]*/g, "")
        .replace(/"(designated_root|root_port|topology\w*)":[^,}]*/g, "");
    const standing = steady((await state()).stdout);
    await host.run("ip link delete br0 && ip link set nic0 down && ifup br0");
    expect(steady((await state()).stdout)).toBe(standing);
    expect(await bridge.refresh()).toEqual({});
    await host.run("ifdown br0 && ! ip link show br0");
    await bridge.delete();
  });

  test("is refused where the host's configuration is not ours to write, or names it already", async () => {
    const host = await startOwnHost();
    await host.run("ip tuntap add nic0 mode tap && printf 'auto br7\\niface br7 inet dhcp\\n' >/etc/network/interfaces.d/mine");
    await expect(Driven.create("Bridge", "named", on(host, { name: "br7" }))).rejects.toThrow(
      /name: br7 is configured in \/etc\/network\/interfaces\.d\/mine; with `adopt: true`/,
    );
    const other = await startOwnHost();
    await other.run("sed -i '/^source/d' /etc/network/interfaces");
    const addresses = on(other, { name: "br0", addresses: ["192.0.2.1/24"] });
    await expect(Driven.create("Bridge", "unwritten", addresses)).rejects.toThrow(/addresses: .*would not survive a reboot/);
  });

  test("never takes the host's default route over from another interface", async () => {
    const host = await startOwnHost();
    const before = await host.fingerprint();
    const args = { name: "br0", addresses: ["192.0.2.1/24"] };
    await expect(Driven.create("Bridge", "hijacks", on(host, { ...args, gateway: "192.0.2.254" }))).rejects.toThrow(
      /gateway: the host has another default route already, via 198\.18\.0\.1 by eth0/,
    );
    expect(await host.fingerprint()).toBe(before);
    const bridge = await Driven.create("Bridge", "hijacks", on(host, args));
    await bridge.delete();
    expect(await host.fingerprint()).toBe(before);
  });
});

describe("what a bridge may not be", () => {
  const failures = async (own: Props) =>
    (await check("Bridge", "wrong", { connection: { host: "192.0.2.1" }, name: "br0", ...own })).failures;

  test.each([
    [{ priority: 65536 }, "priority", /65536 would silently become 0/],
    [{ forwardDelaySeconds: 1, stp: true }, "forwardDelaySeconds", /at least 2 with/],
    [{ forwardDelaySeconds: 31 }, "forwardDelaySeconds", /at most 30/],
    [{ helloTimeSeconds: 0 }, "helloTimeSeconds", /at least 1/],
    [{ maxAgeSeconds: 41 }, "maxAgeSeconds", /at most 40/],
    [{ ageingTimeSeconds: 0.5 }, "ageingTimeSeconds", /whole seconds/],
    [{ mac: "01:00:5e:00:00:01" }, "mac", /multicast/],
    [{ uplink: "br0" }, "uplink", /the bridge itself/],
    [{ addresses: ["192.0.2.0/24"] }, "addresses[0]", /the network itself/],
    [{ addresses: ["192.0.2.1"] }, "addresses[0]", /lacks the length/],
    [{ addresses: ["192.0.2.1/24"], gateway: "198.51.100.1" }, "gateway", /in no network of `addresses`/],
    [{ addresses: ["192.0.2.1/24", "192.0.2.1/24"] }, "addresses[1]", /twice/],
    [{ name: "all" }, "name", /gives to no interface/],
  ])("%j", async (own, property, reason) => {
    expect(await failures({})).toEqual([]);
    expect(await failures(own)).toEqual([{ property, reason: expect.stringMatching(reason) as unknown }]);
  });

  test("on its host: an uplink with addresses, VLANs on a kernel without them, a NIC for a bridge's name", async () => {
    const host = await startOwnHost();
    const before = await host.fingerprint();
    await expect(Driven.create("Bridge", "uplink", on(host, { name: "br0", uplink: "eth0" }))).rejects.toThrow(
      new RegExp(`uplink: eth0 has the address ${host.address}`),
    );
    await expect(Driven.create("Bridge", "vlans", on(host, { name: "br0", vlanFiltering: true }))).rejects.toThrow(
      /no VLAN filtering for bridges \(CONFIG_BRIDGE_VLAN_FILTERING\)/,
    );
    await expect(Driven.create("Bridge", "nic", on(host, { name: "eth0" }))).rejects.toThrow(
      /eth0 is there already and is no bridge/,
    );
    expect(await host.fingerprint()).toBe(before);
  });
});

async function guestsOn(host: LabHost, bridge: string): Promise<[LabGuest, LabGuest]> {
  return [
    await host.guest({ name: "a", addresses: ["192.0.2.1/24"], attach: { bridge } }),
    await host.guest({ name: "b", addresses: ["192.0.2.2/24"], attach: { bridge } }),
  ];
}
