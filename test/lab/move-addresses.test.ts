import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { clientKeyPath, type LabHost } from "../../tools/lab";
import { accessOf, check, Driven, type Props } from "./drive";
import { answers, startOwnHost, untilAnswered } from "./guests";

const moved = { name: "br0", uplink: "eth0", moveAddresses: true };
const on = (host: LabHost, own: Props = moved): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, ...own });
const untilNextLook = () => sleep(1100);

/** A session that prints ten lines a second, and what it has printed. */
function talk(host: LabHost, address = host.address) {
  const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
  const session = spawn("ssh", [
    ...["-F", "none", "-i", clientKeyPath, ...options.flatMap((option) => ["-o", option])],
    `root@${address}`,
    "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i + 1)); sleep 0.1; done",
  ]);
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
    `cat >>/etc/network/interfaces <<'end'\n${stanza(host)}end\nip route add 203.0.113.0/24 via 198.18.0.1 dev eth0; ip address add 100.64.9.1/24 dev eth0 valid_lft 4000 preferred_lft 3000; ip address add 2001:db8:9::1/64 dev eth0; sleep 2`,
  );
  return host;
}

/** What stands on an interface, by the kernel's words less what moves by itself. */
const standing = async (host: LabHost, device: string) =>
  (
    await host.run(
      `ip -o address show dev ${device} scope global | awk '{ print $4 }' | sort; ip route show dev ${device} | grep -v 'proto kernel'; ip -6 route show dev ${device} | grep -v 'proto kernel' || :`,
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
      "ip -o address show dev br0 to 100.64.9.1 | sed 's/.*valid_lft \\([0-9]*\\)sec.*/\\1/'",
    );
    expect(Number(lease)).toBeGreaterThan(3000);
    expect(Number(lease)).toBeLessThan(4000);
    await host.run("ping -n -c 1 -W 5 198.18.0.1 && ping -n -c 1 -W 5 2001:db8:77::1");
    // A guest on the bridge reaches the host and the world behind the uplink.
    const guest = await host.guest({ name: "g", addresses: ["100.64.9.2/24", "198.18.250.2/16"], attach: { bridge: "br0" } });
    await untilAnswered(guest, "100.64.9.1");
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
