import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { RemoteHost } from "../../dist/host/remote-host";
import * as status from "../../dist/providers/status";
import { clientKeyPath, type LabHost } from "../../tools/lab";
import { accessOf, check, Driven, type Props } from "./drive";
import { startOwnHost, untilAnswered } from "./guests";

const moved = { name: "br0", uplink: "eth0", moveAddresses: true };
const on = (host: LabHost, own: Props = moved): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, ...own });
const untilNextLook = () => sleep(1100);

const sessions: ChildProcess[] = [];
afterAll(() => sessions.forEach((session) => session.kill("SIGKILL")));

/** A session that prints ten lines a second, and what it has printed. */
function talk(host: LabHost, address = host.address) {
  const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
  const session = spawn("ssh", [
    ...["-F", "none", "-i", clientKeyPath, ...options.flatMap((option) => ["-o", option])],
    `root@${address}`,
    "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i + 1)); sleep 0.1; done",
  ]);
  sessions.push(session);
  let text = "";
  session.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const lines = () => text.split("\n").filter((line) => line !== "").length;
  const goesOn = async () => {
    const before = lines();
    for (let tries = 0; lines() <= before + 3; tries++) {
      if (session.exitCode !== null || tries > 300)
        throw new Error(`the session has printed ${before} lines and then no more; it ended with ${session.exitCode}`);
      await sleep(100);
    }
  };
  const end = () => {
    session.kill("SIGKILL");
    // Not one line is missing.
    expect(text.split("\n").slice(0, -1)).toEqual([...Array(text.split("\n").length - 1).keys()].map(String));
  };
  return { goesOn, end };
}

/** Until no address is looked for any more. */
const settled = "for i in $(seq 100); do ip -6 -o address show | grep -q tentative || exit 0; sleep 0.1; done; exit 1";

/** Networks that no other host of the outside switch is in. */
const own4 = (host: LabHost, digits: number) => `100.64.${host.address.split(".")[3]}.${digits}`;
const own6 = (host: LabHost) => `2001:db8:9:${host.address.split(".")[3]}::1`;

/** As Debian's installer leaves a host with a fixed address; the lab gives it by hand. */
const stanza = (host: LabHost) => `# The primary network interface
allow-hotplug eth0
iface eth0 inet static
\taddress ${host.address}/16
\tgateway 198.18.0.1
\tup ip route add 203.0.113.0/24 via 198.18.0.1 dev eth0
\tup ethtool -K eth0 tso off || true

iface eth0 inet6 static
\taddress ${host.address6}/64
\tgateway 2001:db8:77::1
`;

async function startConfigured(): Promise<LabHost> {
  const host = await startOwnHost();
  await host.run(
    `cat >>/etc/network/interfaces <<'end'\n${stanza(host)}end\nip route add 203.0.113.0/24 via 198.18.0.1 dev eth0; ip address add ${own4(host, 1)}/24 dev eth0 valid_lft 4000 preferred_lft 3000; ip address add ${own6(host)}/64 dev eth0; ${settled}`,
  );
  return host;
}

/** What stands on an interface, by the kernel's words less what moves by itself. */
const standing = async (host: LabHost, device: string) =>
  (
    await host.run(
      `ip -o address show dev ${device} scope global | awk '{ print $4 }'; ip route show dev ${device} | grep -v 'proto kernel'; ip -6 route show dev ${device} | grep -v 'proto kernel' || :`,
    )
  ).stdout;

describe("an uplink's addresses move to the bridge", () => {
  test("over the session that uses them; refresh is quiet, packets pass, and destroy leaves the host as it was", async () => {
    const host = await startConfigured();
    const before = await host.fingerprint();
    const had = await standing(host, "eth0");
    expect(had).toContain("203.0.113.0/24 via 198.18.0.1");
    const [session, session6] = [talk(host), talk(host, host.address6)];
    await Promise.all([session.goesOn(), session6.goesOn()]);
    const bridge = await Driven.create("Bridge", "moved", on(host));
    await Promise.all([session.goesOn(), session6.goesOn()]);
    expect(await standing(host, "br0")).toBe(had);
    expect(await standing(host, "eth0")).toBe("");
    expect((await host.run("cat /sys/class/net/br0/address")).stdout).toBe(
      (await host.run("cat /sys/class/net/eth0/address")).stdout,
    );
    // A lease goes on, and does not begin anew.
    const { stdout: lease } = await host.run(
      `ip -o address show dev br0 to ${own4(host, 1)} | sed 's/.*valid_lft \\([0-9]*\\)sec.*/\\1/'`,
    );
    expect(Number(lease)).toBeGreaterThan(3000);
    expect(Number(lease)).toBeLessThan(4000);
    await host.run("ping -n -c 1 -W 5 198.18.0.1 && ping -n -c 1 -W 5 2001:db8:77::1");
    // A guest on the bridge reaches the host and the world behind the uplink.
    const guest = await host.guest({
      name: "g",
      addresses: [`${own4(host, 2)}/24`, "198.18.250.2/16"],
      attach: { bridge: "br0" },
    });
    await untilAnswered(guest, own4(host, 1));
    await untilAnswered(guest, "198.18.0.1");
    await guest.down();
    expect(await bridge.refresh()).toEqual({});
    const after = await host.fingerprint();
    expect(await bridge.up(on(host, { ...moved, ageingTimeSeconds: 60 }))).toBe(true);
    expect(await bridge.up(on(host))).toBe(true);
    expect(await host.fingerprint()).toBe(after);
    await bridge.delete();
    await Promise.all([session.goesOn(), session6.goesOn()]);
    expect(await standing(host, "eth0")).toBe(had);
    expect(await host.fingerprint()).toBe(before);
    session.end();
    session6.end();
  });
});

describe("what is moved is held", () => {
  let host: LabHost;
  let bridge: Driven;

  beforeAll(async () => {
    host = await startConfigured();
    bridge = await Driven.create("Bridge", "held", on(host));
  });

  test.each([
    [
      "an address is deleted",
      () => `ip address delete ${own6(host)}/64 dev br0`,
      "42 carries",
      () => `eth0:lacks:${own6(host)}/64`,
    ],
    ["a route is deleted", () => "ip route delete 203.0.113.0/24", "42 carries", () => "eth0:lacks:203.0.113.0/24"],
    [
      "an address is on the NIC again",
      () => `ip address add ${own4(host, 7)}/24 dev eth0`,
      "42 carries",
      () => `eth0:has:${own4(host, 7)}/24`,
    ],
    ["the bridge's MAC address", () => "ip link set br0 address 02:00:5e:00:53:99", "17 address_of", () => "02:00:5e:00:53:99"],
    [
      "a route has another metric",
      () => "ip route delete 203.0.113.0/24; ip route add 203.0.113.0/24 via 198.18.0.1 dev br0 metric 77",
      "42 carries",
      () => "eth0:lacks:203.0.113.0/24",
    ],
    [
      "the configuration",
      () => "sed -i '/gateway 198/d' /etc/network/interfaces",
      "43 configured_as",
      () => "eth0:/etc/network/interfaces:changed",
    ],
  ])("%s: refresh names it, up puts it back", async (_story, script, id, found) => {
    const text = (await host.run("cat /etc/network/interfaces")).stdout;
    await host.run(script());
    await untilNextLook();
    expect(await bridge.refresh()).toMatchObject({ [id]: { found: `link br0 ${id.slice(3)} ${found()}` } });
    await bridge.up(on(host));
    await untilNextLook();
    expect(await bridge.refresh()).toEqual({});
    expect((await host.run("cat /etc/network/interfaces")).stdout).toBe(text);
  });

  test("a lease that ends, or is another one, is no drift", async () => {
    await host.run(
      `ip address delete ${own4(host, 1)}/24 dev br0; ip address add ${own4(host, 3)}/24 dev br0 valid_lft 4000 preferred_lft 4000`,
    );
    await untilNextLook();
    expect(await bridge.refresh()).toEqual({});
  });

  test("the uplink cannot stay without its addresses, nor be another one in the same step", async () => {
    await host.run("ip tuntap add nic0 mode tap");
    const standingNow = await host.fingerprint();
    await expect(bridge.up(on(host, { ...moved, moveAddresses: false }))).rejects.toThrow(
      /moveAddresses: br0 carries the addresses of eth0, .*leave `uplink` out as well/,
    );
    await expect(bridge.up(on(host, { ...moved, uplink: "nic0" }))).rejects.toThrow(
      /uplink: br0 carries the addresses of eth0; take `moveAddresses` and `uplink` out first/,
    );
    await expect(bridge.up(on(host, { ...moved, name: "br7" }))).rejects.toThrow(/name: the addresses of eth0 are on br0/);
    expect(await host.fingerprint()).toBe(standingNow);
    // The control: both left out, the NIC has everything again and the bridge stays.
    await bridge.up(on(host, { name: "br0" }));
    expect(await standing(host, "eth0")).toMatch(/^198\.18\.[^]*\n100\.64\.\d+\.3\/24\n[^]*default via 2001:db8:77::1/);
    expect((await host.run("ls /sys/class/net/br0/brif; cat /sys/class/net/br0/bridge/stp_state")).stdout).toBe("0\n");
    expect(await bridge.refresh()).toEqual({});
    await bridge.delete();
  });
});

describe("the host's own configuration follows", () => {
  test("ifupdown: the stanza is the bridge's, and ifup makes the same of it", async () => {
    const host = await startOwnHost();
    await host.run(
      `printf 'source /etc/network/interfaces.d/*\\nauto lo\\niface lo inet loopback\\n' >/etc/network/interfaces; cat >/etc/network/interfaces.d/eth0 <<'end'\n${stanza(host)}end`,
    );
    await host.run("chmod 640 /etc/network/interfaces.d/eth0; ip route add 203.0.113.0/24 via 198.18.0.1 dev eth0; " + settled);
    const before = await host.fingerprint();
    const had = await standing(host, "eth0");
    const bridge = await Driven.create("Bridge", "ifupdown", on(host));
    const mac = (await host.run("cat /sys/class/net/eth0/address")).stdout.trim();
    const { stdout: text } = await host.run("cat /etc/network/interfaces.d/eth0; stat -c %a /etc/network/interfaces.d/eth0");
    expect(text).toBe(`# The primary network interface
# pulumi-drawbridge br0 1: br0 has what eth0 had. The lines up to the end mark are written anew; write yours outside of them.
auto br0
# pulumi-drawbridge br0 1 ends
# pulumi-drawbridge br0 2: br0 has what eth0 had. The lines up to the end mark are written anew; write yours outside of them.
iface eth0 inet manual
iface br0 inet static
\tpre-up ip link show dev br0 >/dev/null 2>&1 || ip link add name br0 address ${mac} type bridge
\tpre-up ip link set dev eth0 master br0 up || true
\taddress ${host.address}/16
\tgateway 198.18.0.1
\tup ip route add 203.0.113.0/24 via 198.18.0.1 dev br0
\tup ethtool -K eth0 tso off || true
# pulumi-drawbridge br0 2 ends

# pulumi-drawbridge br0 3: br0 has what eth0 had. The lines up to the end mark are written anew; write yours outside of them.
iface br0 inet6 static
\taddress ${host.address6}/64
\tgateway 2001:db8:77::1
# pulumi-drawbridge br0 3 ends
640
`);
    // As at boot, and without us.
    await host.run("ip link delete br0 && ip link set eth0 down && ifup br0");
    expect((await standing(host, "br0")).replaceAll(" onlink", "")).toBe(had);
    expect(await bridge.refresh()).toEqual({});
    // As at boot, with us: what loads at boot takes nothing away and adds nothing.
    await host.run("ifdown br0; ip link delete br0; ip link set eth0 down; drawbridge-host load && ifup br0");
    expect((await standing(host, "br0")).replaceAll(" onlink", "")).toBe(had);
    await untilNextLook();
    expect(await bridge.refresh()).toEqual({});
    await bridge.delete();
    expect((await standing(host, "eth0")).replaceAll(" onlink", "")).toBe(had);
    // ifup says more of an address than the lab does.
    const files = (text: string) => text.split("== objects")[0];
    expect(files(await host.fingerprint())).toBe(files(before));
  });

  test("systemd-networkd: files of ours that come first, and no foreign one is changed", async () => {
    const host = await startOwnHost();
    await host.run(`
      groupadd -f systemd-network
      # What the files of another user say is no reason to read one of root's; what is hidden stays hidden.
      printf '[Network]\\nDescription=secret\\n' | tee /root/hidden.conf >/root/hidden.network
      mkdir -p /etc/systemd/system/multi-user.target.wants /etc/systemd/network/10-lan.network.d /run/systemd/netif/links
      ln -s /lib/systemd/system/systemd-networkd.service /etc/systemd/system/multi-user.target.wants/
      printf '[Match]\\nName=en* eth*\\n\\n[Link]\\nMTUBytes=1500\\n# by hand\\n[Network]\\nAddress=${host.address}/16\\nVLAN=guests\\nDHCP=no\\n[Route]\\nGateway=198.18.0.1\\n[Route]\\nDestination=203.0.113.0/24\\nGateway=198.18.0.1\\n' >/etc/systemd/network/10-lan.network
      printf '[Network]\\nAddress=${host.address6}/64\\n' >/etc/systemd/network/10-lan.network.d/six.conf
      printf 'NETWORK_FILE=/etc/systemd/network/10-lan.network\\nNETWORK_FILE_DROPINS="/etc/systemd/network/10-lan.network.d/six.conf /root/hidden.conf /etc/systemd/network/../../../root/hidden.network"\\n' >/run/systemd/netif/links/$(cat /sys/class/net/eth0/ifindex)
      chmod 640 /etc/systemd/network/10-lan.network.d/six.conf
      ${settled}`);
    const before = await host.fingerprint();
    const bridge = await Driven.create("Bridge", "networkd", on(host));
    const mac = (await host.run("cat /sys/class/net/eth0/address")).stdout.trim();
    const { stdout: text } = await host.run(
      "cd /etc/systemd/network; for file in 05-*; do echo \"== $file\"; grep -v '^#' $file; done",
    );
    expect((await host.run("stat -c '%a %G' /etc/systemd/network/05-*")).stdout).toBe("640 systemd-network\n".repeat(3));
    expect(text).toBe(`== 05-drawbridge-moved-br0-uplink.network
[Match]
Name=eth0
[Network]
Bridge=br0
[Link]
MTUBytes=1500
[Network]
VLAN=guests
== 05-drawbridge-moved-br0.netdev
[NetDev]
Name=br0
Kind=bridge
MACAddress=${mac}
[Bridge]
STP=no
== 05-drawbridge-moved-br0.network
[Match]
Name=br0
[Network]
Address=${host.address}/16
DHCP=no
[Route]
Gateway=198.18.0.1
[Route]
Destination=203.0.113.0/24
Gateway=198.18.0.1
[Network]
Address=${host.address6}/64
`);
    expect(await bridge.refresh()).toEqual({});
    await host.run(
      "rm /etc/systemd/network/05-drawbridge-moved-br0.netdev; echo '# x' >>/etc/systemd/network/05-drawbridge-moved-br0.network",
    );
    await untilNextLook();
    expect(await bridge.refresh()).toMatchObject({
      "43 configured_as": { found: expect.stringMatching(/\.netdev:missing,.*br0\.network:changed$/) as unknown },
    });
    await bridge.up(on(host));
    await untilNextLook();
    expect(await bridge.refresh()).toEqual({});
    await bridge.delete();
    expect(await host.fingerprint()).toBe(before);
  });
});

describe("an administrator goes on editing the files of ifupdown", () => {
  const FILE = "/etc/network/interfaces";
  const tunnel = "\nauto wg0\niface wg0 inet manual\n\tup wg-quick up wg0\n";
  let host: LabHost;
  let before: string;
  let bridge: Driven;
  const said: string[] = [];

  const read = async () => (await host.run(`cat ${FILE}`)).stdout;
  const write = (text: string) => host.run(`cat >${FILE}`, { stdin: text });
  const refreshed = async () => {
    await untilNextLook();
    return bridge.refresh();
  };
  /** An update of another setting, as it may come at any time. */
  let ageing = 60;
  const up = () => bridge.up(on(host, { ...moved, ageingTimeSeconds: ageing++ }));

  beforeAll(async () => {
    host = await startConfigured();
    before = await read();
  });
  beforeEach(async () => {
    said.length = 0;
    const silent = () => undefined;
    jest.spyOn(status, "reporterFor").mockReturnValue({ status: silent, note: silent, warning: (text) => void said.push(text) });
    bridge = await Driven.create("Bridge", "edited", on(host));
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await write(before);
  });

  test("his lines beside ours are no drift, and stay through update and delete", async () => {
    const made = await read();
    await write(`# mine\n${made}${tunnel}`);
    expect(await refreshed()).toEqual({});
    expect(await up()).toBe(true);
    expect(await read()).toBe(`# mine\n${made}${tunnel}`);
    // A change of ours beside his: only ours is put back.
    await host.run(`sed -i '/gateway 198/d' ${FILE}`);
    expect(await refreshed()).toMatchObject({
      [`file ${FILE}: missing #1`]: { found: "gateway 198.18.0.1" },
      "43 configured_as": { found: `link br0 configured_as eth0:${FILE}:changed` },
    });
    expect(said.join("\n")).not.toContain("the files are as confirmed");
    expect(await up()).toBe(true);
    expect(await read()).toBe(`# mine\n${made}${tunnel}`);
    await bridge.delete();
    expect(await read()).toBe(`# mine\n${before}${tunnel}`);
  });

  test("what he writes among ours is drift by line, and stands behind them as a comment when ours are put back", async () => {
    const made = await read();
    await host.run(
      `sed -i -e 's/^\tgateway 198.18.0.1$/\tgateway 198.18.0.9\\n\tmtu 1400/' -e 's/^# .* br0 2 ends$/\\nauto wg0\\niface wg0 inet manual\\n&/' ${FILE}`,
    );
    expect(await refreshed()).toMatchObject({
      [`file ${FILE}: missing #1`]: { found: "gateway 198.18.0.1" },
      [`file ${FILE}: added #1`]: { found: "gateway 198.18.0.9" },
      [`file ${FILE}: added #2`]: { found: "mtu 1400" },
    });
    await up();
    expect(await refreshed()).toEqual({});
    const text = await read();
    expect(text.split("\n").filter((line) => !made.split("\n").includes(line))).toEqual([
      "# taken out by pulumi-drawbridge: gateway 198.18.0.9",
      "# taken out by pulumi-drawbridge: mtu 1400",
      "auto wg0",
      "iface wg0 inet manual",
    ]);
    expect(said).toEqual(
      expect.arrayContaining([expect.stringMatching(/"mtu 1400" stood among the lines of br0 that pulumi-drawbridge writes/)]),
    );
    await bridge.delete();
    expect((await read()).split("\n").filter((line) => !before.split("\n").includes(line))).toHaveLength(4);
  });

  test("what he gives to the NIC is named, then the bridge's with a word, and the NIC's again after delete", async () => {
    const made = await read();
    await write(`${made}iface eth0 inet static\n\taddress ${own4(host, 7)}/24\n`);
    await host.run(`ip address add ${own4(host, 7)}/24 dev eth0`);
    expect(await refreshed()).toMatchObject({
      [`file ${FILE}: names the uplink #1`]: { found: "iface eth0 inet static" },
      "42 carries": { found: `link br0 carries eth0:has:${own4(host, 7)}/24` },
    });
    said.length = 0;
    await up();
    expect(said.join("\n")).toContain(`eth0 had ${own4(host, 7)}/24 again, which is moved to br0 as the rest was`);
    expect(said.join("\n")).toContain(`${FILE}: what "iface eth0 inet static" gave to the uplink is given to br0 now`);
    expect(await read()).toMatch(
      new RegExp(`iface br0 inet static\n\taddress ${own4(host, 7)}/24\n# pulumi-drawbridge br0 4 ends\n$`),
    );
    expect(await standing(host, "br0")).toContain(own4(host, 7));
    expect(await refreshed()).toEqual({});
    await write(`${await read()}iface eth0 inet ppp\n`);
    await expect(up()).rejects.toThrow(/configures eth0 by "iface eth0 inet ppp", which is not supported/);
    await host.run(`sed -i '$d' ${FILE}`);
    await bridge.delete();
    expect(await read()).toBe(`${before}iface eth0 inet static\n\taddress ${own4(host, 7)}/24\n`);
    await host.run(`ip address delete ${own4(host, 7)}/24 dev eth0`);
  });

  test("a host that version 0.1.0 left is quiet, and marked by the next change", async () => {
    const made = await read();
    await host.run(`
      for file in ${FILE} /var/lib/drawbridge/found/moved/br0/made${FILE}; do
        sed -i -e '/^# pulumi-drawbridge /d' -e '1i # Changed by pulumi-drawbridge: br0 has what eth0 had. Deleting the resource puts the former file back.' $file
      done; printf '${tunnel.replaceAll("\n", "\\n").replaceAll("\t", "\\t")}' >>${FILE}`);
    expect(await refreshed()).toEqual({});
    await up();
    expect(await read()).toBe(made + tunnel);
    expect(await refreshed()).toEqual({});
    await bridge.delete();
    expect(await read()).toBe(before + tunnel);
  });

  test("what he writes while a delete waits for its confirmation stays when it is undone", async () => {
    const made = await read();
    jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async function (this: RemoteHost, deadline) {
      // The control: the former lines are back already.
      expect(await read()).toBe(before);
      await write(before + tunnel);
      await host.run("drawbridge-host undo");
      await this.reconnect(deadline);
    });
    await expect(bridge.delete()).rejects.toMatchObject({ failure: { code: "undone" } });
    expect(await read()).toBe(made + tunnel);
    expect(await refreshed()).toEqual({});
    await bridge.delete();
    expect(await read()).toBe(before + tunnel);
  });

  test("a fence that stands on the uplink by itself is named when it becomes a port, unless it says so in time", async () => {
    await bridge.delete();
    const fence = await Driven.create("LeakFence", "alone", { ...on(host, {}), uplink: "eth0", networks: ["10.0.0.0/8"] });
    said.length = 0;
    bridge = await Driven.create("Bridge", "edited", on(host));
    const named = /the rules of .*alone.* are about eth0 by itself/;
    expect(said).toEqual(expect.arrayContaining([expect.stringMatching(named)]));
    await fence.up({ ...on(host, {}), uplink: { interface: "eth0", bridge: "br0" }, networks: ["10.0.0.0/8"] });
    said.length = 0;
    await up();
    expect(said.join("\n")).not.toMatch(named);
    await fence.delete();
    await bridge.delete();
  });

  test("a folder that is not root's alone is refused", async () => {
    await host.run(`chown mybro /etc/network`);
    await expect(up()).rejects.toThrow(/can be changed by others than root/);
    await host.run("chown root /etc/network");
    await up();
    await bridge.delete();
    expect(await read()).toBe(before);
  });
});

describe("what may not move", () => {
  const failures = async (own: Props) =>
    (await check("Bridge", "wrong", { connection: { host: "192.0.2.1" }, ...moved, ...own })).failures;

  test.each([
    [{ uplink: undefined }, "moveAddresses", /needs `uplink`/],
    [{ addresses: ["192.0.2.1/24"] }, "addresses", /takes over what the uplink has/],
    [{ gateway6: "fe80::1" }, "gateway6", /takes over what the uplink has/],
    [{ stp: true }, "stp", /silent for twice/],
    [{ adopt: true }, "adopt", /must be a new one/],
  ])("%j", async (own, property, reason) => {
    expect(await failures({})).toEqual([]);
    expect(await failures(own)).toEqual([{ property, reason: expect.stringMatching(reason) as unknown }]);
  });

  test.each([
    [
      "netplan",
      "mkdir -p /etc/netplan && echo 'network: {}' >/etc/netplan/50-cloud-init.yaml",
      "rm -r /etc/netplan",
      /configured by netplan, which is not supported yet/,
    ],
    [
      "NetworkManager",
      "mkdir -p /run/NetworkManager/devices && printf '[device]\\nmanaged=true\\n' >/run/NetworkManager/devices/$(cat /sys/class/net/eth0/ifindex)",
      "sed -i s/true/false/ /run/NetworkManager/devices/*",
      /configured by NetworkManager, which is not supported yet/,
    ],
    [
      "nobody, so that nothing would be left after a reboot",
      "cp /etc/network/interfaces /root/ && sed -i /eth0/d /etc/network/interfaces",
      "cp /root/interfaces /etc/network/ && rm /root/interfaces",
      /stand in no configuration that would give them to the bridge after a reboot/,
    ],
    [
      "ifupdown in a way that is not understood",
      "cp /etc/network/interfaces /root/ && sed -i 's/eth0 inet static/eth0 inet ppp/' /etc/network/interfaces",
      "cp /root/interfaces /etc/network/ && rm /root/interfaces",
      /configures eth0 by "iface eth0 inet ppp", which is not supported/,
    ],
  ])("an uplink that is configured by %s", async (_who, prepare, mend, reason) => {
    const host = await startConfigured();
    await host.run(prepare);
    const before = await host.fingerprint();
    await expect(Driven.create("Bridge", "refused", on(host))).rejects.toThrow(reason);
    expect(await host.fingerprint()).toBe(before);
    // The control.
    await host.run(mend);
    const bridge = await Driven.create("Bridge", "refused", on(host));
    await bridge.delete();
  });
});

test("where the bridge's new address is not reachable, the host undoes it all by itself", async () => {
  const host = await startConfigured();
  await host.run("nft add table bridge lockout && nft add chain bridge lockout out '{ type filter hook output priority 0; }'");
  const before = await host.fingerprint();
  const had = await standing(host, "eth0");
  const session = talk(host);
  await session.goesOn();
  // Meets what a bridge sends, and no plain interface.
  await host.run("nft add rule bridge lockout out counter drop");
  const locked = await host.fingerprint();
  const failed = expect(Driven.create("Bridge", "lockout", on(host, { ...moved, confirmDeadlineSeconds: 6 }))).rejects.toThrow(
    /undone|put back|confirm/,
  );
  await host.run(
    "for i in $(seq 300); do ip -o address show dev br0 2>/dev/null | grep -q 198.18 && exit 0; sleep 0.1; done; exit 1",
  );
  // An administrator edits the file in this very moment.
  await host.run(
    "for i in $(seq 100); do grep -q '^auto br0' /etc/network/interfaces && break; sleep 0.05; done; printf '\\nauto wg0\\niface wg0 inet manual\\n' >>/etc/network/interfaces",
  );
  await failed;
  await session.goesOn();
  expect((await host.run("tail -n 3 /etc/network/interfaces; grep -c br0 /etc/network/interfaces || :")).stdout).toBe(
    "\nauto wg0\niface wg0 inet manual\n0\n",
  );
  await host.run("head -n -3 /etc/network/interfaces >/tmp/left; cat /tmp/left >/etc/network/interfaces; rm /tmp/left");
  expect(await standing(host, "eth0")).toBe(had);
  expect((await host.run("ls /sys/class/net")).stdout).not.toContain("br0");
  expect((await host.fingerprint()).replace(/packets \d+ bytes \d+/, "")).toBe(locked.replace(/packets \d+ bytes \d+/, ""));
  // The control.
  await host.run("nft flush chain bridge lockout out");
  const bridge = await Driven.create("Bridge", "lockout", on(host));
  await session.goesOn();
  await bridge.delete();
  expect(await host.fingerprint()).toBe(before);
  session.end();
});
