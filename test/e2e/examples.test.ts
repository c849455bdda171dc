import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import { clientKeyPath, type LabGuest, type LabHost, startHost } from "../../tools/lab";
import { repository, Stack } from "./stack";

const stackName = "example-test";

/** A user's machine: a home with known_hosts, an SSH agent with the key, and nothing about either in the program. */
class Desk {
  private constructor(
    private readonly stack: Stack,
    private readonly project: string,
    private readonly config: string,
    private readonly endAgent: () => void,
  ) {}

  static async at(project: string, host: LabHost): Promise<Desk> {
    const home = mkdtempSync(join(tmpdir(), "drawbridge-desk-"));
    mkdirSync(join(home, ".ssh"), { recursive: true });
    writeFileSync(join(home, ".ssh", "known_hosts"), `${host.address} ${host.hostKey}\n`);
    const socket = join(home, "agent");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    const env = { HOME: home, SSH_AUTH_SOCK: socket };
    execFileSync(
      "sh",
      ["-c", 'for i in $(seq 100); do ssh-add -q "$0" 2>/dev/null && exit; sleep 0.05; done; exit 1', clientKeyPath],
      {
        env: { ...process.env, ...env },
      },
    );
    const stack = await Stack.create("", { install: () => undefined, env });
    const config = join(stack.folder, "config.yaml");
    const desk = new Desk(stack, project, config, () => {
      agent.kill();
      rmSync(home, { recursive: true, force: true });
    });
    await desk.run("stack", "init", stackName);
    await desk.configure({ host: host.address, user: "deploy" });
    return desk;
  }

  configure = (values: Readonly<Record<string, string>>) => {
    const all = Object.entries(values).flatMap(([path, value]) => ["--plaintext", `${path}=${value}`]);
    return this.run("config", "set-all", "--path", ...all, "--config-file", this.config);
  };
  run = (...args: string[]) => this.stack.expect(...args, "--cwd", this.project);
  preview = (...more: string[]) => this.run("preview", "--diff", "--config-file", this.config, ...more);
  up = () => this.run("up", "--yes", "--skip-preview", "--diff", "--config-file", this.config);
  destroy = () => this.run("destroy", "--yes", "--skip-preview", "--config-file", this.config);

  close(): void {
    this.stack.dispose();
    rmSync(join(this.project, `Pulumi.${stackName}.yaml`), { force: true });
    this.endAgent();
  }
}

/** Runs a project on a host from preview to destroy; `look` sees what stands. */
async function wholeLife(
  project: string,
  host: LabHost,
  look: () => Promise<void>,
  config: Readonly<Record<string, string>> = {},
): Promise<void> {
  const before = await host.fingerprint();
  const desk = await Desk.at(project, host);
  try {
    await desk.configure(config);
    expect(await desk.preview()).toMatch(/\+ \d to create/);
    expect(await host.fingerprint()).toBe(before);
    expect(await desk.up()).toMatch(/\+ \d created/);
    await look();
    await desk.preview("--expect-no-changes");
    expect(await desk.destroy()).toMatch(/- \d deleted/);
    expect(await host.fingerprint()).toBe(before);
  } finally {
    desk.close();
    await host.down();
  }
}

const pings = async (host: LabHost, address: string) =>
  (await host.run(`ping -c 1 -W 1 ${address}`, { allowFailure: true })).code === 0;

/** Gives the outside world the addresses, and wants answers from all of them. */
async function worldHas(host: LabHost, ...addresses: string[]): Promise<void> {
  for (const address of addresses) {
    await host.outside(`ip addr replace ${address}/32 dev labsw`);
    expect(await pings(host, address)).toBe(true);
  }
}

test("quickstart runs from the checkout's own Pulumi.yaml, by agent and known_hosts", async () => {
  const host = await startHost();
  await worldHas(host, "10.9.9.9", "203.0.113.9");
  await wholeLife(repository, host, async () => {
    expect(await pings(host, "10.9.9.9")).toBe(false);
    expect(await pings(host, "203.0.113.9")).toBe(true);
  });
});

describe("leak-fence", () => {
  // The article's script with its lost assignments and `done` lines put back.
  const script = `
    IFACE=br0 BLK_ADDR='10.0.0.0/8 172.16.0.0/12 192.168.0.0/16' UNBLK_ADDR=10.0.5.0/24
    for addr in $UNBLK_ADDR; do
      ebtables -A OUTPUT -p IPv4 --ip-destination $addr -j ACCEPT; ebtables -A FORWARD -i $IFACE -p IPv4 --ip-destination $addr -j ACCEPT
      ebtables -A OUTPUT -p IPv4 --ip-source $addr -j ACCEPT; ebtables -A FORWARD -i $IFACE -p IPv4 --ip-source $addr -j ACCEPT
    done
    for addr in $BLK_ADDR; do
      ebtables -A OUTPUT -p IPv4 --ip-destination $addr -j DROP; ebtables -A FORWARD -i $IFACE -p IPv4 --ip-destination $addr -j DROP
      ebtables -A OUTPUT -p IPv4 --ip-source $addr -j DROP; ebtables -A FORWARD -i $IFACE -p IPv4 --ip-source $addr -j DROP
    done`;

  const reaches = async (from: Pick<LabHost, "run">, address: string, source = "") =>
    (await from.run(`ping -n -c 1 -W 1 ${source && `-I ${source}`} ${address}`, { allowFailure: true })).code === 0;
  /** Each packet of the article: does it get out? */
  const leaks = async (host: LabHost, machine: LabGuest, client: LabGuest) => ({
    "the host's own, to a private address": await reaches(host, "10.9.9.9"),
    "the host's own, to the provider's": await reaches(host, "10.0.5.7"),
    "the host's own, to the world": await reaches(host, "203.0.113.9"),
    "a machine's on the bridge, to a private address": await reaches(machine, "10.9.9.10", "203.0.113.55"),
    "a machine's on the bridge, from a private address": await reaches(machine, "203.0.113.10", "10.1.1.5"),
    "a machine's on the bridge, to the world": await reaches(machine, "203.0.113.10", "203.0.113.55"),
    "a VPN client's that nobody has translated": await reaches(client, "203.0.113.9"),
  });
  const startMachine = (host: LabHost) =>
    host.guest({ name: "vm", addresses: ["203.0.113.55/24", "10.1.1.5/8"], attach: { bridge: "br0" } });
  const startClient = async (host: LabHost) => {
    await worldHas(host, "10.9.9.9", "10.0.5.7", "203.0.113.9");
    await host.run("sysctl -qw net.ipv4.ip_forward=1");
    await host.outside(`
      ip route replace 10.8.0.0/24 via ${host.address}; ip addr replace 203.0.113.10/24 dev labsw
      ip addr replace 10.9.9.10/8 dev labsw`);
    return host.guest({
      name: "client",
      addresses: ["10.8.0.2/24"],
      gateway: "10.8.0.1",
      attach: { hostAddresses: ["10.8.0.1/24"] },
    });
  };

  test("the article's own script lets packets through that it names", async () => {
    const host = await startHost({ uplink: "bridged" });
    const client = await startClient(host);
    const machine = await startMachine(host);
    const all = await leaks(host, machine, client);
    expect(Object.values(all)).toEqual(Object.values(all).map(() => true));
    // The bridge's name behind \`-i\` matches no frame.
    await host.run(script);
    expect(await leaks(host, machine, client)).toEqual({
      ...all,
      "the host's own, to a private address": false,
      "a VPN client's that nobody has translated": false,
    });
    await host.run("ebtables -F; nft delete table bridge filter 2>/dev/null; true");
    expect(await leaks(host, machine, client)).toEqual(all);
    await host.down();
  });

  test("makes the bridge of a plain eth0 and stops every packet that the article names, in one up; metrics stay", async () => {
    const host = await startHost();
    await host.run(`
      cat >>/etc/network/interfaces <<'end'
allow-hotplug eth0
iface eth0 inet static
\taddress ${host.address}/16
\tgateway 198.18.0.1
\tmetric 100

iface eth0 inet6 static
\taddress ${host.address6}/64
\tgateway 2001:db8:77::1
end
      ip route delete default; ip route add default via 198.18.0.1 dev eth0 metric 100
      ip route add 198.51.100.0/24 via 198.18.0.1 dev eth0 metric 50`);
    const client = await startClient(host);
    const toClient = async () =>
      (await host.outside("ping -c 1 -W 1 -I 203.0.113.9 10.8.0.2", { allowFailure: true })).code === 0;
    expect(await toClient()).toBe(true);
    expect([await reaches(host, "10.9.9.9"), await reaches(client, "203.0.113.9")]).toEqual([true, true]);
    const routes = async (device: string) =>
      (
        await host.run(
          `ip route show dev ${device} | grep metric; sed -n '/^iface ${device} inet static/,/metric/p' /etc/network/interfaces | tail -n 1`,
        )
      ).stdout;
    const had = await routes("eth0");
    expect(had).toMatch(/^default via 198.18.0.1 metric 100 *\n198.51.100.0\/24 via 198.18.0.1 metric 50 *\n\tmetric 100\n$/);
    await wholeLife(join(repository, "examples", "leak-fence"), host, async () => {
      expect(await routes("br0")).toBe(had);
      const machine = await startMachine(host);
      expect(await leaks(host, machine, client)).toEqual({
        "the host's own, to a private address": false,
        "the host's own, to the provider's": true,
        "the host's own, to the world": true,
        "a machine's on the bridge, to a private address": false,
        "a machine's on the bridge, from a private address": false,
        "a machine's on the bridge, to the world": true,
        "a VPN client's that nobody has translated": false,
      });
      await machine.down();
      // What goes to the clients by br0, without their tunnel.
      await host.run("ip route add 10.8.0.77/32 dev br0");
      await host.run("ping -c 1 -W 1 10.8.0.77", { allowFailure: true });
      expect((await host.run("nft list counters | grep -A1 'out.10.8.0.0/24'")).stdout).toMatch(/packets 1 /);
      await host.run("ip route delete 10.8.0.77/32 dev br0");
      // A client whose source is translated gets out.
      await host.run(
        "nft 'add table ip nat { chain post { type nat hook postrouting priority srcnat; ip saddr 10.8.0.0/24 masquerade; }; }'",
      );
      expect(await reaches(client, "203.0.113.9")).toBe(true);
      await host.run("nft delete table ip nat");
    });
  });
});

test("router lets clients out, answers their questions and exchanges keys, and nothing else passes", async () => {
  const host = await startHost();
  await worldHas(host, "203.0.113.9", "203.0.113.66");
  const client = await host.guest({
    name: "client",
    addresses: ["10.0.1.2/24"],
    gateway: ["10.0.1.1"],
    attach: { hostAddresses: ["10.0.1.1/24"] },
  });
  const inside = (await host.run("ip -o address show to 10.0.1.1/32")).stdout.split(/\s+/)[1] ?? "";
  await host.outside(`ip route replace 10.0.1.0/24 via ${host.address}`);
  await host.run("sysctl -qw net.ipv4.ip_forward=1");
  type Place = Pick<LabHost, "run">;
  const listen = (where: Place, port: number) =>
    where.run(`setsid -f sh -c 'while :; do nc -4 -N -l ${port} </dev/null; done' >/dev/null 2>&1 </dev/null`);
  const world: Place = { run: (script, options) => host.outside(script, options) };
  await Promise.all([listen(host, 53), listen(host, 7001), listen(client, 7002)]);
  for (const address of ["203.0.113.9", "203.0.113.66"])
    await host.outside(`setsid -f sh -c 'while :; do nc -4 -N -l ${address} 7003 </dev/null; done' >/dev/null 2>&1 </dev/null`);
  const connects = async (from: Place, to: string, port: number) =>
    (await from.run(`for n in 1 2 3; do nc -z -w 1 ${to} ${port} && exit 0; sleep 0.2; done; exit 1`, { allowFailure: true }))
      .code === 0;
  /** Whether a datagram of this port is heard by the host at 500. */
  const exchanges = async (sourcePort: number, from = "203.0.113.9") => {
    const heard = host.run("timeout 3 nc -u -l -W 1 500 </dev/null || true");
    await sleep(500);
    await host.outside(`echo key | nc -u -w 1 -s ${from} -p ${sourcePort} ${host.address} 500 || true`);
    return (await heard).stdout === "key\n";
  };
  const all = async () => ({
    "a client, to the world": await connects(client, "203.0.113.9", 7003),
    "a client, to a blocked address": await connects(client, "203.0.113.66", 7003),
    "a client, asking for a name": await connects(client, "10.0.1.1", 53),
    "a client, to another port of the router": await connects(client, "10.0.1.1", 7001),
    "the world, to a client": await connects(world, "10.0.1.2", 7002),
    "the world, asking for a name": await connects(world, host.address, 53),
    "the router itself, to the world": await connects(host, "203.0.113.9", 7003),
    "key exchange": await exchanges(500),
    "key exchange from another port": await exchanges(4321),
    "key exchange from a blocked address": await exchanges(500, "203.0.113.66"),
  });
  const open = await all();
  expect(open).toEqual(Object.fromEntries(Object.keys(open).map((what) => [what, true])));
  await wholeLife(
    join(repository, "examples", "router"),
    host,
    async () =>
      expect(await all()).toEqual({
        "a client, to the world": true,
        "a client, to a blocked address": false,
        "a client, asking for a name": true,
        "a client, to another port of the router": false,
        "the world, to a client": false,
        "the world, asking for a name": false,
        "the router itself, to the world": false,
        "key exchange": true,
        "key exchange from another port": false,
        "key exchange from a blocked address": false,
      }),
    { outside: "eth0", inside, address: host.address, "administrators[0]": "198.18.0.0/15" },
  );
});

test("sudo-viewer gives each user the one console", async () => {
  const host = await startHost();
  // It tells whom it runs as, and its arguments.
  await host.run(`printf '#!/bin/sh\\necho "$(id -un):$(id -gn) $*"\\n' >/usr/bin/remote-viewer
    chown root:spicegrp /usr/bin/remote-viewer; chmod 750 /usr/bin/remote-viewer
    for user in myself mybro; do echo "$user:$user" | chpasswd; done`);
  const view = async (user: string, port: number) =>
    (
      await host.run(
        `echo ${user} | sudo -S -p '' -u ${user} -g spicegrp remote-viewer -- 'spice://mysrv.anraconc.de?tls-port=${port}'`,
        { user, allowFailure: true },
      )
    ).stdout.trim();
  await wholeLife(join(repository, "examples", "sudo-viewer"), host, async () => {
    expect(await view("myself", 20002)).toBe("myself:spicegrp -- spice://mysrv.anraconc.de?tls-port=20002");
    expect(await view("myself", 20004)).toBe("");
    expect(await view("mybro", 20004)).toBe("mybro:spicegrp -- spice://mysrv.anraconc.de?tls-port=20004");
    expect(await view("mybro", 20002)).toBe("");
  });
});

test("spice gives each user one console, at his hours and by one command line", async () => {
  const host = await startHost();
  const [server, laptop] = ["192.168.2.2", "192.168.2.22"];
  await host.outside(`ip addr replace ${server}/32 dev labsw; ip route add ${laptop}/32 via ${host.address}`);
  for (const port of [20002, 20003, 20004])
    await host.outside(
      `setsid -f sh -c 'while :; do echo console ${port} | nc -N -l ${server} ${port}; done' >/dev/null 2>&1 </dev/null`,
    );
  // A viewer that connects where its one argument says. The way to the server begins at the laptop's own address.
  await host.run(`
    ip address add ${laptop}/32 dev eth0; ip route add ${server}/32 via 198.18.0.1 src ${laptop}
    groupdel spicegrp; useradd maggie; useradd anne; useradd nobodys
    printf '#!/bin/sh\\nexec timeout 3 nc -w 2 %s "\${2##*=}" </dev/null\\n' ${server} >/usr/bin/remote-viewer; chmod 755 /usr/bin/remote-viewer`);
  const get = async (user: string, command: string) => (await host.run(command, { user, allowFailure: true })).stdout.trim();
  const connect = (user: string, port: number, from = laptop) =>
    get(user, `timeout 3 nc -w 2 -s ${from} ${server} ${port} </dev/null`);
  const rightNow = new Date();
  const clock = (minutes: number) => new Date(rightNow.getTime() + minutes * 60_000).toISOString().slice(11, 16);
  const today = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"][
    new Date(rightNow.getTime() - 60 * 60_000).getUTCDay()
  ];

  // Before: everybody goes everywhere, by any command.
  expect(await connect("nobodys", 20002)).toBe("console 20002");
  expect(await get("nobodys", `remote-viewer -- 'spice://${server}?tls-port=20004'`)).toBe("console 20004");

  const project = join(repository, "examples", "spice");
  const before = await host.fingerprint();
  const desk = await Desk.at(project, host);
  try {
    const viewers = [["myself", 20002] as const, ["maggie", 20003] as const, ["anne", 20003] as const];
    await desk.configure({
      nopasswd: "true",
      source: laptop,
      ...Object.fromEntries(
        viewers.flatMap(([user, port], index) => [
          [`viewers[${index}].user`, user],
          [`viewers[${index}].port`, String(port)],
        ]),
      ),
      // Maggie's hours are now, Anne's come later.
      "viewers[1].when.days[0]": today ?? "",
      "viewers[1].when.hours": `${clock(-60)}-${clock(60)}`,
      "viewers[2].when.hours": `${clock(60)}-${clock(120)}`,
    });
    expect(await desk.up()).toMatch(/\+ 1\d created/);

    for (const boot of [false, true]) {
      if (boot) await host.run("nft flush ruleset; drawbridge-host load");
      expect(await get("myself", "viewer")).toBe("console 20002");
      expect(await get("maggie", "viewer")).toBe("console 20003");
      expect(await get("anne", "viewer")).toBe("");
      expect(await get("nobodys", "viewer")).toBe("");
      expect(await connect("myself", 20002)).toBe("console 20002");
      expect(await connect("myself", 20003)).toBe("");
      expect(await connect("myself", 20002, host.address)).toBe("");
      expect(await connect("nobodys", 20002)).toBe("");
      expect(await connect("root", 20002)).toBe("");
    }
    const sudo = (port: number) =>
      get("myself", `sudo -n -u myself -g spicegrp /usr/bin/remote-viewer -- 'spice://${server}?tls-port=${port}'`);
    expect(await sudo(20002)).toBe("console 20002");
    expect(await sudo(20003)).toBe("");
    expect(await get("myself", `remote-viewer -- 'spice://${server}?tls-port=20002'`)).toBe("");
    await desk.preview("--refresh", "--expect-no-changes");
    expect(await desk.destroy()).toMatch(/- 1\d deleted/);
    expect(await host.fingerprint()).toBe(before);
  } finally {
    desk.close();
    await host.down();
  }
});

test("guest-lan gives each guest its port and its fence, whenever its tap appears, and forgets them with the server", async () => {
  const host = await startHost();
  const project = join(repository, "examples", "guest-lan");
  const before = await host.fingerprint();
  const desk = await Desk.at(project, host);
  try {
    expect(await desk.up()).toMatch(/guests0/);
    // Late: the guest's network card exists only while the guest runs.
    const guests = [];
    for (const [index, name] of ["web", "mail"].entries()) {
      const guest = await host.guest({ name, addresses: [`192.0.2.${index + 1}/24`], attach: { hostAddresses: [] } });
      await host.run(
        `ip link set ${guest.interface} down; ip link set ${guest.interface} name tap-${name}; ip link set tap-${name} up`,
      );
      // What udev runs for an interface that appears; the lab has no udev.
      await host.run('$(sed -n \'s/.*RUN+="\\([^"]*\\)"/\\1/p\' /etc/udev/rules.d/90-drawbridge.rules)');
      guests.push(guest);
    }
    const outside = await host.guest({
      name: "out",
      addresses: ["192.0.2.9/24", "198.51.100.9/24"],
      attach: { bridge: "guests0" },
    });
    const [web, mail] = guests;
    if (!web || !mail) throw new Error("no guests");
    const reaches = async (from: typeof web, address: string, wait = 1) =>
      (await from.run(`ping -n -c 1 -W ${wait} ${address}`, { allowFailure: true })).code === 0;
    for (const guest of guests) expect(await reaches(guest, "192.0.2.9", 10)).toBe(true);
    expect(await reaches(web, "192.0.2.2")).toBe(false);
    await Promise.all(guests.map((guest) => guest.run("ip route add 198.51.100.0/24 dev eth0")));
    await outside.run("ip route replace 192.0.2.0/24 dev eth0 src 198.51.100.9");
    expect(await reaches(web, "198.51.100.9")).toBe(false);
    await desk.preview("--refresh", "--expect-no-changes");
    await Promise.all([web, mail].map(({ name }) => host.run(`ip link delete tap-${name}; ip netns delete ${name}`)));
    await outside.down();

    // Without a guest in the program its port and its fence go; with the server nothing is asked of it any more.
    await desk.configure({ "guests[0]": "web" });
    await desk.up();
    expect((await host.run("ls /etc/drawbridge/links")).stdout).toMatch(/web/);
    expect((await host.run("ls /etc/drawbridge/links")).stdout).not.toMatch(/mail/);
    const standing = await host.fingerprint();
    expect(await desk.destroy()).toMatch(/- \d+ deleted/);
    expect(await host.fingerprint()).toBe(standing);
    expect(standing).not.toBe(before);
  } finally {
    desk.close();
    await host.down();
  }
});

test("with-vm hands the machine's address and identity to the command and to the fence", async () => {
  const seen = new Map<string, Record<string, unknown>>();
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => {
      const sent = inputs as Record<string, unknown>;
      seen.set(name, sent);
      return { id: `${name}-id`, state: name === "vm" ? { ...sent, stdout: "10.94.7.21" } : sent };
    },
    call: () => ({}),
  });
  pulumi.runtime.setAllConfig({ "project:publicKey": "ssh-ed25519 AAAA me" });
  // Only now: a program makes its resources when it is loaded.
  jest.requireActual("../../examples/with-vm/index");
  while (!seen.has("private-stays-inside")) await sleep(10);

  const connection = { host: "10.94.7.21", user: "ubuntu" };
  expect([...seen.keys()]).toEqual(["vm", "packages", "private-stays-inside"]);
  expect(seen.get("packages")).toMatchObject({ connection: { value: connection }, triggers: ["vm-id"] });
  expect(seen.get("private-stays-inside")).toMatchObject({
    connection,
    machine: "vm-id",
    hostKeyPolicy: "accept-new",
    exceptions: [{ cidr: "10.94.7.0/24" }, { cidr: "10.94.7.0/24" }],
  });
});
