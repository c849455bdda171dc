import { setTimeout as sleep } from "node:timers/promises";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven, type Props } from "./drive";

// A reboot in the lab: the kernel forgets its rules, and the units' commands run. The units themselves run in the VM.
const REBOOT = "nft flush ruleset; drawbridge-host settle; drawbridge-host load";

describe("boot", () => {
  let host: LabHost;
  let before: string;
  const pings = async (address: string) => (await host.run(`ping -c 1 -W 1 ${address}`, { allowFailure: true })).code === 0;
  const args = () => ({ ...accessOf(host), uplink: "eth0", networks: ["rfc1918"], confirmDeadlineSeconds: 20 });

  beforeEach(async () => {
    host = await startHost();
    await host.outside("ip addr replace 10.9.9.9/32 dev labsw");
    before = await host.fingerprint();
  });
  afterEach(() => host.down());

  test("loads what was confirmed, and what it loads is no drift", async () => {
    const resource = await Driven.create("LeakFence", "boot", args());
    const standing = await host.fingerprint();
    await host.run("nft flush ruleset");
    expect(await pings("10.9.9.9")).toBe(true);
    await host.run(REBOOT);
    expect(await pings("10.9.9.9")).toBe(false);
    expect(await host.fingerprint()).toBe(standing);
    expect(await resource.refresh()).toEqual({});
    await resource.delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test("its units are there, and name the one program", async () => {
    const resource = await Driven.create("LeakFence", "units", args());
    const { stdout } = await host.run(
      "cat /etc/systemd/system/sysinit.target.wants/drawbridge*.service /etc/udev/rules.d/90-drawbridge.rules",
    );
    expect(stdout).toContain("ExecStart=/usr/local/sbin/drawbridge-host load");
    expect(stdout).toContain("ExecStart=/usr/local/sbin/drawbridge-host settle");
    expect(stdout).toContain("Before=network-pre.target");
    expect(stdout).toContain('RUN+="/usr/local/sbin/drawbridge-host load"');
    // The distribution's own unit flushes what stands when it comes later.
    const { stdout: load } = await host.run(
      "cat /etc/systemd/system/drawbridge.service; cat /usr/lib/systemd/system/nftables.service",
    );
    expect(/^After=(.*)$/m.exec(load)?.[1]?.split(" ")).toContain("nftables.service");
    expect(load).toMatch(/^ExecStart=\/usr\/sbin\/nft -f \/etc\/nftables.conf$/m);
    expect((await host.run("head -n 3 /etc/nftables.conf")).stdout).toContain("flush ruleset");
    await resource.delete();
  });

  test("what boot would make otherwise is named although it stands now", async () => {
    await host.run("ip route delete default; ip -6 route delete default");
    const before = await host.fingerprint();
    const fence = await Driven.create("LeakFence", "proof", args());
    const bridge = await Driven.create("Bridge", "proof", { ...accessOf(host), name: "br7", addresses: ["192.0.2.1/24"] });
    const file = "/etc/drawbridge/nft/inet-drawbridge/00-stray.nft";
    await host.run(`printf '# drawbridge 1\\nchain stray {\\n\\taccept\\n}\\n' >${file}
      cp /etc/network/interfaces /root/interfaces && sed -i '/^source/d' /etc/network/interfaces`);
    await sleep(1_100);
    expect(Object.keys(await fence.refresh())).toEqual([`at boot: ${file}`]);
    const unread = await bridge.refresh();
    expect(Object.keys(unread)).toEqual([expect.stringMatching(/^at boot: \/etc\/network\/interfaces\.d\/drawbridge-/)]);
    await host.run(`rm ${file}; mv /root/interfaces /etc/network/interfaces`);
    await sleep(1_100);
    expect([await fence.refresh(), await bridge.refresh()]).toEqual([{}, {}]);
    await Promise.all([fence.delete(), bridge.delete()]);
    expect(await host.fingerprint()).toBe(before);
  });

  test("a table that does not load is shut: nothing is forwarded over what it guards, SSH works, refresh says so, up opens it", async () => {
    const guest = await host.guest({
      name: "g1",
      addresses: ["172.31.0.2/24"],
      gateway: "172.31.0.1",
      attach: { hostAddresses: ["172.31.0.1/24"] },
    });
    await host.outside("ip addr replace 203.0.113.9/32 dev labsw; ip route replace 172.31.0.0/24 via " + host.address);
    await host.run("echo 1 >/proc/sys/net/ipv4/ip_forward");
    const open = async () => (await guest.run("ping -c 1 -W 1 203.0.113.9", { allowFailure: true })).code === 0;
    expect(await open()).toBe(true);
    const mine = { ...args(), networks: ["10.0.0.0/8"] };
    const resource = await Driven.create("LeakFence", "shut", mine);
    expect(await open()).toBe(true);
    await host.run("for f in /etc/drawbridge/nft/inet-drawbridge/*; do echo 'chain {' >>$f; done");
    const said = await host.run(REBOOT, { allowFailure: true });
    expect(said.stderr).toContain("table inet drawbridge did not load");
    expect(await open()).toBe(false);
    expect(await pings("203.0.113.9")).toBe(true);
    const drift = await resource.refresh();
    expect(Object.keys(drift)).toContainEqual(expect.stringMatching(/^file .*inet-drawbridge.*added #1$/));
    await resource.up(mine);
    expect(await open()).toBe(true);
    await sleep(1_100);
    expect(await resource.refresh()).toEqual({});
    await resource.delete();
  });

  test("a deny whose set is gone denies everybody but the administrator that a default drop knows; what else is denied is denied to him, too", async () => {
    const [friend, stranger, administrator] = ["203.0.113.2", "203.0.113.4", "198.18.77.77"];
    const [shop, inner] = [7001, 7002];
    await host.outside(
      [friend, stranger, administrator].map((address) => `ip address replace ${address}/32 dev labsw`).join("; "),
    );
    for (const port of [shop, inner])
      await host.run(`setsid -f sh -c 'while :; do nc -4 -N -l ${port} </dev/null; done' >/dev/null 2>&1 </dev/null`);
    const connects = async (from: string, port: number) => {
      // A listener of one connection after the other is away for a moment.
      const script = `for n in 1 2 3; do nc -z -w 1 -s ${from} ${host.address} ${port} && exit 0; sleep 0.2; done; exit 1`;
      return (await host.outside(script, { allowFailure: true })).code === 0;
    };
    const make = (kind: string, name: string, own: Props) => Driven.create(kind, name, { ...accessOf(host), ...own });
    const set = await make("AddressSet", "suspects", { name: "suspects", addresses: [stranger] });
    const denies = [
      await make("Deny", "to-us", { hook: "input", from: { set: "suspects" } }),
      await make("Deny", "from-us", { hook: "output", to: { set: "suspects" } }),
    ];
    const gate = await make("DefaultDrop", "input", {
      hook: "input",
      management: { sources: ["198.18.0.0/16"] },
      allow: [{ protocol: "tcp", ports: [shop] }],
    });
    const seen = async () => ({
      friend: await connects(friend, shop),
      stranger: await connects(stranger, shop),
      administrator: await connects(administrator, 22),
      elsewhere: await connects(administrator, inner),
    });
    await host.run(REBOOT);
    closeConnections();
    expect(await seen()).toEqual({ friend: true, stranger: false, administrator: true, elsewhere: false });
    expect((await host.run("drawbridge-host status")).stdout).not.toContain("waits");
    await host.run(
      `for folder in /etc/drawbridge /var/lib/drawbridge/confirmed/etc/drawbridge; do rm $folder/nft/inet-drawbridge/*address-set*; done`,
    );
    const told = /nobody declares what is denied by, .*: set\.suspects\.ipv4\.addresses .*set\.suspects\.ipv6\.prefixes$/m;
    expect((await host.run(REBOOT)).stderr).toMatch(told);
    // Once, for udev loads at each device.
    expect((await host.run("drawbridge-host load")).stderr).toBe("");
    closeConnections();
    expect(await seen()).toEqual({ friend: false, stranger: false, administrator: true, elsewhere: false });
    expect((await host.run("drawbridge-host status")).stdout).toContain("waits for the set set.suspects.ipv4.addresses");
    // Over new connections, and back.
    expect(Object.keys(await set.refresh())).not.toEqual([]);
    const third = await make("Deny", "third", { hook: "input", from: [administrator] });
    expect(await connects(administrator, 22)).toBe(false);
    await third.delete();
    expect(await connects(administrator, 22)).toBe(true);
    await set.up({ ...accessOf(host), name: "suspects", addresses: [stranger] });
    expect(await seen()).toEqual({ friend: true, stranger: false, administrator: true, elsewhere: false });
    for (const one of [set, ...denies, gate]) expect(await one.refresh()).toEqual({});
    for (const one of [...denies, set, gate]) await one.delete();
    await host.run("pkill -f 'nc -4 -N -l 700[12]'", { allowFailure: true });
    expect(await host.fingerprint()).toBe(before);
  });

  test("where nft cannot run at all, forwarding goes off", async () => {
    const resource = await Driven.create("LeakFence", "no-nft", args());
    await host.run(
      "echo 1 >/proc/sys/net/ipv4/ip_forward; nft flush ruleset; mv /usr/sbin/nft /usr/sbin/nft.away; drawbridge-host load; mv /usr/sbin/nft.away /usr/sbin/nft",
    );
    expect((await host.run("cat /proc/sys/net/ipv4/ip_forward")).stdout.trim()).toBe("0");
    await resource.delete();
  });

  test("bridges, their settings and their ports come back, tables and all", async () => {
    await host.run("ip tuntap add tap0 mode tap && ip link set tap0 up && ip link set tap0 down");
    const clean = await host.fingerprint();
    const own = { ...accessOf(host), confirmDeadlineSeconds: 20 };
    const bridge = await Driven.create("Bridge", "b", { ...own, name: "br0", mac: "02:00:5e:00:53:01", ageingTimeSeconds: 60 });
    const port = await Driven.create("BridgePort", "p", { ...own, bridge: "br0", interface: "tap0", isolated: true });
    const fence = await Driven.create("LeakFence", "f", { ...args(), uplink: { interface: "tap0", bridge: "br0" } });
    const standing = await host.fingerprint();
    await host.run(`ip link delete br0; ip link set tap0 down; ${REBOOT}`);
    expect(await host.fingerprint()).toBe(standing);
    for (const resource of [bridge, port, fence]) expect(await resource.refresh()).toEqual({});
    // Without nft there are no fences, and so no port behind them.
    await host.run(`ip link delete br0; nft flush ruleset; mv /usr/sbin/nft /root/nft`);
    const said = await host.run("drawbridge-host load", { allowFailure: true });
    expect(said.stderr).toContain("no port is put into a bridge");
    expect((await host.run("ip -br link show type bridge")).stdout).toBe("");
    // One that is there and does nothing is no better.
    await host.run(
      "printf '#!/bin/sh\\nexit 1\\n' >/usr/sbin/nft; chmod 755 /usr/sbin/nft; echo 1 >/proc/sys/net/ipv4/ip_forward",
    );
    const failed = await host.run("drawbridge-host load", { allowFailure: true });
    expect(failed.code).not.toBe(0);
    expect(failed.stderr).toContain("no port is put into a bridge");
    expect((await host.run("ip -br link show type bridge; cat /proc/sys/net/ipv4/ip_forward")).stdout).toBe("0\n");
    await host.run("mv /root/nft /usr/sbin/nft; drawbridge-host load");
    for (const resource of [fence, port, bridge]) await resource.delete();
    await host.run("echo 0 >/proc/sys/net/ipv4/ip_forward");
    expect(await host.fingerprint()).toBe(clean);
  });

  test("a link file that is not ours is not loaded, and named; what cannot be set does not stop the rest", async () => {
    const own = { ...accessOf(host), confirmDeadlineSeconds: 20 };
    const bridge = await Driven.create("Bridge", "b", { ...own, name: "br0", mac: "02:00:5e:00:53:01" });
    await host.run(`echo 'link br9 is bridge' >/etc/drawbridge/links/00-mine; ip link delete br0
      printf '# drawbridge 1\\nlink br0 nonsense 7\\nlink br8 is bridge\\n' >/etc/drawbridge/links/99-odd`);
    const said = await host.run("drawbridge-host load", { allowFailure: true });
    expect(said.stderr).toContain("/etc/drawbridge/links/00-mine is not loaded");
    const { stdout } = await host.run("ip -br link show type bridge | cut -d' ' -f1");
    expect(stdout.split("\n")).toEqual(expect.arrayContaining(["br0", "br8"]));
    expect(stdout).not.toContain("br9");
    await host.run("rm /etc/drawbridge/links/00-mine /etc/drawbridge/links/99-odd; ip link delete br8");
    await bridge.delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test("files that are not ours are not loaded, and named", async () => {
    const resource = await Driven.create("LeakFence", "named", args());
    await host.run("echo 'chain mine { }' >/etc/drawbridge/nft/inet-drawbridge/60-mine.nft");
    const { stderr, code } = await host.run(REBOOT, { allowFailure: true });
    // What was ours may have become so by damage, so that the unit says that it failed.
    expect(code).not.toBe(0);
    expect(stderr).toContain("/etc/drawbridge/nft/inet-drawbridge/60-mine.nft is not loaded");
    expect((await host.run("nft list table inet drawbridge")).stdout).not.toContain("mine");
    await host.run("rm /etc/drawbridge/nft/inet-drawbridge/60-mine.nft");
    await resource.delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test("what flushes all tables in nftables.service takes ours along in one commit: no packet gets through", async () => {
    const resource = await Driven.create("LeakFence", "flushed", args());
    const standing = await host.run("nft -s list table inet drawbridge; nft -s list table netdev drawbridge");
    const leaks = async (command: string, times: number) => {
      const { stdout } = await host.run(
        `ping -n -q -i 0.002 10.9.9.9 >/run/pings & for i in $(seq ${times}); do ${command}; done; kill -INT $!; wait $!; cat /run/pings`,
        { allowFailure: true },
      );
      const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? [];
      expect(Number(sent)).toBeGreaterThan(times);
      return Number(received);
    };
    // The control: without ours, a flush and a load leave a gap.
    expect(await leaks("nft -f /etc/nftables.conf; sleep 0.05; drawbridge-host load", 5)).toBeGreaterThan(0);
    const { stdout } = await host.run("cat /etc/systemd/system/nftables.service.d/50-drawbridge.conf");
    for (const word of ["ExecStart", "ExecReload", "ExecStop"]) {
      const [, reset, command = ""] = new RegExp(`^${word}=(.*)\n${word}=(/bin/sh .*)$`, "m").exec(stdout) ?? [];
      expect(reset).toBe("");
      expect(command).toMatch(/ sh \/usr\/sbin\/nft (-f \/etc\/nftables\.conf|flush ruleset)$/);
      const asSystemd = command.replaceAll("$$", "$");
      await host.run("nft add table ip another");
      expect(await leaks(asSystemd, 10)).toBe(0);
      const { stdout: tables } = await host.run("nft list tables");
      expect(tables).not.toContain("another");
      expect(tables.includes("table inet filter")).toBe(word !== "ExecStop");
      expect(await host.run("nft -s list table inet drawbridge; nft -s list table netdev drawbridge")).toEqual(standing);
      // Without our program the unit's own command runs as it is.
      await host.run(`mv /usr/local/sbin/drawbridge-host /root/; ${asSystemd} && mv /root/drawbridge-host /usr/local/sbin/`);
      expect((await host.run("nft list tables")).stdout).not.toContain("drawbridge");
      await host.run("drawbridge-host load");
    }
    // What a file includes is not looked into: then the flush, that file and ours are one commit.
    await host.run(
      `printf 'flush ruleset\\ntable inet first {\\n\\tinclude "/run/first.body"\\n}\\n' >/run/first.nft; echo 'set numbers { type mark; }' >/run/first.body`,
    );
    await host.run("nft add table ip another; drawbridge-host around nft -f /run/first.nft");
    expect((await host.run("nft list tables")).stdout).toMatch(/table inet first/);
    expect((await host.run("nft list tables")).stdout).not.toContain("another");
    expect(await host.run("nft -s list table inet drawbridge; nft -s list table netdev drawbridge")).toEqual(standing);
    await host.run("nft delete table inet first");
    // Where somebody has given the unit other commands, ours come right behind them.
    for (const word of ["ExecStartPost", "ExecReload", "ExecStopPost"])
      expect(stdout).toContain(`\n${word}=-/usr/local/sbin/drawbridge-host load flushed\n`);
    await host.run("nft delete table netdev drawbridge; drawbridge-host load flushed");
    expect(await host.run("nft -s list table inet drawbridge; nft -s list table netdev drawbridge")).toEqual(standing);
    await host.run("nft flush ruleset");
    await resource.delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test("a worker's number that is somebody else's since a reboot does not keep its change from being undone", async () => {
    const resource = await Driven.create("LeakFence", "number", args());
    const standing = await host.fingerprint();
    await host.run(`
      folder=/var/lib/drawbridge/txn/0123456789abcdef0123456789abcdef; mkdir -p $folder
      cp /usr/local/sbin/drawbridge-host $folder/; echo 1 >$folder/worker; echo 'somebody' >$folder/holder; : >$folder/touched; : >$folder/absent; : >$folder/pending
      drawbridge-host settle`);
    expect((await host.run("ls /var/lib/drawbridge/txn")).stdout).toBe("");
    expect(await host.fingerprint()).toBe(standing);
    await resource.delete();
  });

  test("an undo at boot leaves out a device that is not there yet, as older kernels want it", async () => {
    const resource = await Driven.create("LeakFence", "early", args());
    const folder = "/var/lib/drawbridge/txn/0123456789abcdef0123456789abcdef";
    // The kernel of the lab takes a hook for an absent device; Debian 12's nft would be refused.
    const { stdout } = await host.run(`
      mkdir -p ${folder}; cp /usr/local/sbin/drawbridge-host ${folder}/; echo somebody >${folder}/holder; : >${folder}/touched; : >${folder}/absent; : >${folder}/pending
      cat /run/drawbridge/proven/new.netdev | sed 's/eth0/eth9/' >${folder}/undo.netdev
      drawbridge-host settle 2>/run/said; nft list table netdev drawbridge`);
    expect(stdout).toContain("chain leak-fence-early");
    expect(stdout).not.toContain("eth9");
    await host.run("drawbridge-host load");
    await resource.delete();
  });

  test("a reboot in the middle of a transaction counts as unconfirmed", async () => {
    const resource = await Driven.create("LeakFence", "kept", args());
    const standing = await host.fingerprint();
    const updating = resource.up({ ...args(), networks: ["rfc1918", "100.64.0.0/10"] }).catch((error: unknown) => error);
    const waiting = "while ! ls /var/lib/drawbridge/txn/*/pending >/dev/null 2>&1; do sleep 0.002; done";
    // The power fails: neither program nor timer nor session goes on.
    await host.run(`${waiting}; kill -STOP $(pgrep sshd); pkill -KILL -f "[d]rawbridge-host"; pkill -KILL sudo; true`);
    await host.run(`${REBOOT}; kill -CONT $(pgrep sshd)`, { allowFailure: true });
    const result = await updating;
    const found = await host.fingerprint();
    if (result === true) expect((await host.run("nft list table inet drawbridge")).stdout).toContain("100.64.0.0/10");
    else expect(found).toBe(standing);
    await resource.up(args());
    await resource.delete();
  });
});
