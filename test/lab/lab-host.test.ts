import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { clientKeyPath, type HostOptions, type LabHost, startHost } from "../../tools/lab";

const execute = promisify(execFile);
const hosts: LabHost[] = [];

async function start(options?: HostOptions): Promise<LabHost> {
  const host = await startHost(options);
  hosts.push(host);
  return host;
}

afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.down()));
});

async function text(answer: Promise<{ readonly stdout: string }>): Promise<string> {
  return (await answer).stdout.trim();
}

describe("a lab host", () => {
  test("keeps users, files, settings and rules to itself", async () => {
    const [changed, other] = await Promise.all([start(), start({ suite: "trixie" })]);
    const before = await other.fingerprint();
    await changed.run(
      "useradd someone; echo x >/etc/x; sysctl -qw net.ipv4.ip_forward=1; nft add table inet t; ip link add br9 type bridge; hostname changed",
    );
    expect(await other.fingerprint()).toBe(before);
    expect(
      await text(
        other.run("hostname; id someone 2>&1; cat /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv6/conf/all/forwarding"),
      ),
    ).toMatch(/^host\d+\n.*no such user\n0\n0$/);
    expect(await text(changed.outside("nft list ruleset; ip link show br9 2>&1 || :"))).toMatch(/does not exist/);
    expect(await text(changed.run("cat /etc/machine-id"))).not.toBe(await text(other.run("cat /etc/machine-id")));
    const write = await changed.run("sysctl -w kernel.panic=1", { allowFailure: true });
    expect(write.code).not.toBe(0);
  });

  test("has a fingerprint that shows every kind of change and comes back with it", async () => {
    const host = await start({ uplink: "bridged" });
    const before = await host.fingerprint();
    expect(await host.fingerprint()).toBe(before);
    for (const [change, undo] of [
      ["echo x >/etc/x", "rm /etc/x"],
      ["chmod 600 /etc/fstab", "chmod 644 /etc/fstab"],
      ["nft add table inet t", "nft delete table inet t"],
      ["ip link add br9 type bridge", "ip link delete br9"],
      ["ip addr add 192.0.2.1/32 dev br0", "ip addr del 192.0.2.1/32 dev br0"],
      ["ip route add 192.0.2.0/24 via 198.18.0.1", "ip route del 192.0.2.0/24"],
      ["ip rule add from 192.0.2.1 table 7", "ip rule del from 192.0.2.1 table 7"],
      ["sysctl -qw net.ipv4.conf.all.arp_ignore=1", "sysctl -qw net.ipv4.conf.all.arp_ignore=0"],
    ] as const) {
      await host.run(change);
      expect(await host.fingerprint()).not.toBe(before);
      await host.run(undo);
      expect(await host.fingerprint()).toBe(before);
    }
  });

  test.each(["deploy", "root", "myself", "mybro", "plain", "asks"])(
    "lets %s in by ssh, under the host key known in advance",
    async (user) => {
      const host = await start({ sshdOptions: ["MaxSessions=2"] });
      const folder = mkdtempSync(join(tmpdir(), "known-hosts-"));
      try {
        for (const address of [host.address, host.address6]) {
          const known = join(folder, "known_hosts");
          writeFileSync(known, `${address} ${host.hostKey}\n`);
          const options = ["BatchMode=yes", "StrictHostKeyChecking=yes", `UserKnownHostsFile=${known}`].flatMap((option) => [
            "-o",
            option,
          ]);
          const login = ["-F", "none", "-i", clientKeyPath, ...options, `${user}@${address}`];
          const { stdout } = await execute("ssh", [...login, "sudo -n id -un 2>&1 || :; id -un; hostname"]);
          const sudo = { deploy: "root", root: "root" }[user] ?? "sudo: a password is required";
          expect(stdout).toBe(`${sudo}\n${user}\n${host.name}\n`);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  test("runs scripts as a user with the login's groups, and tells how they ended", async () => {
    const host = await start();
    await host.run("usermod -aG spicegrp deploy");
    expect(await text(host.run("id -Gn; pwd; cat", { user: "deploy", stdin: "input" }))).toBe(
      "deploy spicegrp\n/home/deploy\ninput",
    );
    await expect(host.run("echo seen; exit 3")).rejects.toThrow(/ended with 3:\nseen/);
    expect(await host.run("exit 3", { allowFailure: true })).toMatchObject({ code: 3 });
    await expect(host.run("sleep 4711", { timeoutSeconds: 1 })).rejects.toThrow("time out");
    expect(await host.run("pgrep -f 'sleep 471[1]'", { allowFailure: true })).toMatchObject({ code: 1 });
  });

  test("keeps its disk through a reboot, and nothing else", async () => {
    const host = await start();
    const before = await host.fingerprint();
    const { pid } = host;
    await host.run(
      "echo kept >/etc/kept; nft add table inet t; ip link add br9 type bridge; setsid -f sleep 47111 >/dev/null 2>&1",
    );
    await host.reboot();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(await text(host.run("cat /etc/kept; pgrep -c sleep; rm /etc/kept", { allowFailure: true }))).toBe("kept\n0");
    await host.run("ping -c1 -W5 198.18.0.1");
    expect(await host.fingerprint()).toBe(before);
  });

  test("leaves nothing behind", async () => {
    const watcher = await start();
    const host = await startHost();
    await host.guest({ name: "vm1", addresses: ["192.0.2.2/24"], attach: { hostAddresses: ["192.0.2.1/24"] } });
    const port = host.name.replace("host", "lab");
    const links = () => text(watcher.outside("ls /proc/sys/net/ipv4/conf; ip -br link"));
    expect(await links()).toContain(`${port}@`);
    await host.run("setsid -f sleep 47110 >/dev/null 2>&1");
    await host.down();
    expect(existsSync(`/proc/${host.pid}`)).toBe(false);
    expect(await links()).not.toContain(`${port}@`);
    const { stdout } = await execute("ps", ["axo", "args"]);
    expect(stdout).not.toContain("sleep 47110");
  });
});

describe.each(["bookworm", "trixie"] as const)("on %s", (suite) => {
  test.each(["routed", "bridged"] as const)("a %s uplink reaches the outside and a guest behind it", async (uplink) => {
    const host = await start({ suite, uplink, addresses: ["198.18.200.1/16", "2001:db8:77::c8/64"] });
    await host.run("ping -c1 -W5 198.18.0.1 && ping -c1 -W5 2001:db8:77::1");
    await host.outside(
      `ping -c1 -W5 ${host.address}; ping -c1 -W5 ${host.address6}; ping -c1 -W5 198.18.200.1; ping -c1 -W5 2001:db8:77::c8`,
    );
    if (uplink === "bridged") {
      const addresses = ["198.18.200.2/16", "2001:db8:77::c9/64"];
      const guest = await host.guest({
        name: "vm1",
        addresses,
        gateway: ["198.18.0.1", "2001:db8:77::1"],
        attach: { bridge: "br0" },
      });
      await guest.run("ping -c1 -W5 198.18.0.1 && ping -c1 -W5 2001:db8:77::1");
      await host.outside("ping -c1 -W5 198.18.200.2 && ping -c1 -W5 2001:db8:77::c9");
      expect(await text(host.run(`bridge fdb show br br0 dev ${guest.interface}`))).toContain(guest.mac);
    } else {
      await host.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
      const guest = await host.guest({
        name: "vm1",
        addresses: ["192.0.2.2/24", "2001:db8:1::2/64"],
        gateway: ["192.0.2.1", "2001:db8:1::1"],
        attach: { hostAddresses: ["192.0.2.1/24", "2001:db8:1::1/64"] },
      });
      await host.outside(`ip route add 192.0.2.0/24 via ${host.address}; ip route add 2001:db8:1::/64 via ${host.address6}`);
      await guest.run("ping -c1 -W5 198.18.0.1 && ping -c1 -W5 2001:db8:77::1");
      await host.outside("ip route del 192.0.2.0/24; ip route del 2001:db8:1::/64");
      await guest.down();
      expect(await text(host.run("ip -br link; ip netns"))).not.toContain("vm1");
    }
  });

  test("frames sent by the host and by a guest are seen outside", async () => {
    const host = await start({ suite, uplink: "bridged" });
    const guest = await host.guest({ name: "vm1", addresses: [], attach: { bridge: "br0" } });
    // Ethernet type 0x88b5 is set aside for experiments.
    const frame = (source: string) => Buffer.from(`ffffffffffff${source}88b5${"00".repeat(46)}`, "hex");
    const seen = host.outside("exec tcpdump -nn -e -c 2 -i labsw ether proto 0x88b5 2>&1", { timeoutSeconds: 20 });
    await host.run("for i in $(seq 100); do grep -q . /proc/net/packet && break; sleep 0.05; done; sleep 0.5");
    await host.sendFrame("br0", frame("02aaaaaaaa01"));
    await guest.sendFrame(frame("02aaaaaaaa02"));
    expect(await text(seen)).toMatch(/02:aa:aa:aa:aa:01[^]*02:aa:aa:aa:aa:02/);
  });
});
