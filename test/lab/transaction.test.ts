import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "../../dist/core/errors";
import { pooledHost } from "../../dist/host/pool";
import { RemoteHost } from "../../dist/host/remote-host";
import { clientKeyPath, type LabHost, ordered, startHost } from "../../tools/lab";
import { accessOf, Driven } from "./drive";

const fence = (networks: string[], seconds = 30) => ({ uplink: "eth0", networks, confirmDeadlineSeconds: seconds });

/**
 * The way in goes by the host itself: a jump from outside, then a connection from 127.0.0.1. No probe sees that a fence over
 * the outside cuts it off, so that only the confirmation can.
 */
function roundabout(host: LabHost) {
  const hop = { user: "deploy", hostKey: host.hostKey, perDialTimeout: 2, dialErrorLimit: 1 };
  return {
    connection: { ...hop, host: "127.0.0.1", proxy: { ...hop, host: host.address } },
    become: true,
    privateKeyPath: clientKeyPath,
  };
}

describe("a transaction", () => {
  let host: LabHost;
  let before: string;

  beforeAll(async () => {
    host = await startHost();
    // The outside is no resolver here: the probe would see that a fence over it is dangerous.
    await host.run("echo nameserver 203.0.113.53 >/etc/resolv.conf");
    before = await host.fingerprint();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    // Each test leaves nothing behind, whatever it broke; while the host undoes, a look at it may fail.
    const look = () => host.fingerprint().catch(() => "in between");
    for (let tries = 0; (await look()) !== before && tries < 40; tries++) await sleep(500);
    expect(await look()).toBe(before);
  });
  afterAll(() => host.down());

  const pending = async () =>
    (await host.run("drawbridge-host status 2>/dev/null | sed -n 's/^pending: //p'", { allowFailure: true })).stdout.trim();

  /** Does something between the moment when a change is applied and the one when its new connection is opened. */
  const beforeConfirmation = (work: () => Promise<unknown>) =>
    jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async function (this: RemoteHost, deadline) {
      await work();
      await this.reconnect(deadline);
    });

  test("a change that locks us out is undone by the host itself, and the error says so", async () => {
    const started = Date.now();
    await expect(
      Driven.create("LeakFence", "lock-out", { ...roundabout(host), ...fence(["198.18.0.1/32"], 6) }),
    ).rejects.toMatchObject({
      failure: { code: "undone", reason: expect.stringContaining("rolled it back after 6 s") as unknown },
    });
    expect(Date.now() - started).toBeGreaterThan(5_000);
    const resource = await Driven.create("LeakFence", "after", { ...roundabout(host), ...fence(["10.0.0.0/8"], 20) });
    await resource.delete();
  });

  test("after a lock-out the guilty change alone fails, its innocent neighbours stand", async () => {
    const networks = ["10.0.0.0/8", "198.18.0.1/32", "172.16.0.0/12", "192.168.0.0/16"];
    const all = await Promise.allSettled(
      networks.map((network, index) =>
        Driven.create("LeakFence", `wave${index}`, { ...roundabout(host), ...fence([network], 20) }),
      ),
    );
    expect(all.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(all[1]).toMatchObject({ reason: { failure: { code: "undone" } } });
    for (const each of all) if (each.status === "fulfilled") await each.value.delete();
  }, 120_000);

  test("a controller that dies after applying leaves the old state: the host undoes what nobody confirms", async () => {
    const script = `
      const { RemoteHost } = require(process.argv[1] + "/dist/host/remote-host");
      RemoteHost.prototype.reconnect = () => process.kill(process.pid, "SIGKILL");
      const kind = require(process.argv[1] + "/dist/provider").forKind("LeakFence");
      kind.check({}, JSON.parse(process.argv[2])).then(({ inputs }) => kind.create(inputs));
    `;
    const args = { ...accessOf(host), ...fence(["10.0.0.0/8"], 4), __origin: { project: "p", stack: "s", name: "dead" } };
    const child = spawn(process.execPath, ["-e", script, join(__dirname, "..", ".."), JSON.stringify(args)], { stdio: "ignore" });
    const [, signal] = (await once(child, "exit")) as [number | null, string | null];
    expect(signal).toBe("SIGKILL");
    expect(await pending()).toBe("LeakFence dead");
    expect((await host.run("nft list tables")).stdout).toContain("inet drawbridge");
    // afterEach waits for the host's own deadline and compares.
  });

  test("a session that is killed while the host works loses nothing: the result is asked for over a new one", async () => {
    const creating = Driven.create("LeakFence", "killed", { ...accessOf(host), ...fence(["10.0.0.0/8"]) });
    for (let tries = 0; (await pending()) !== "LeakFence killed" && tries < 400; tries++) await sleep(5);
    await host.run("pkill -KILL -u deploy sshd; true");
    const resource = await creating;
    await sleep(1_100);
    expect(await resource.refresh()).toEqual({});
    await resource.delete();
  });

  test("others wait for a pending transaction, and say for whom", async () => {
    const id = randomBytes(16).toString("hex");
    await host.run(
      `mkdir -p /var/lib/drawbridge/txn/${id}; cd /var/lib/drawbridge/txn/${id}; echo 'LeakFence of a colleague' >holder; : >pending`,
    );
    const said: string[] = [];
    const target = { ...accessOf(host) } as unknown as Parameters<typeof pooledHost>[0];
    const looking = pooledHost(target).snapshots.lookWith([], (text) => said.push(text));
    const creating = Driven.create("LeakFence", "queued", { ...accessOf(host), ...fence(["10.0.0.0/8"]) });
    for (let tries = 0; said.length === 0 && tries < 400; tries++) await sleep(10);
    expect(said).toEqual(["waiting for LeakFence of a colleague"]);
    expect((await host.run("nft list tables")).stdout).not.toContain("drawbridge");
    await host.run(`rm -r /var/lib/drawbridge/txn/${id}`);
    await looking;
    await (await creating).delete();
  });

  test("what fails its dry run is refused before anything changes", async () => {
    const resource = await Driven.create("LeakFence", "stays", { ...accessOf(host), ...fence(["10.0.0.0/8"]) });
    const standing = await host.fingerprint();
    // A kernel that takes no egress hook, as before 5.16: nft says what such a kernel makes it say.
    await host.run(
      `mv /usr/sbin/nft /usr/sbin/nft.real; printf '#!/bin/sh\\nif [ "$1" = -f ]; then case $(cat "$2" 2>/dev/null) in *172.16*) echo "Error: Could not process rule: Operation not supported" >&2; exit 1;; esac; fi\\nexec /usr/sbin/nft.real "$@"\\n' >/usr/sbin/nft; chmod 755 /usr/sbin/nft`,
    );
    await expect(Driven.create("LeakFence", "refused", { ...accessOf(host), ...fence(["172.16.0.0/12"]) })).rejects.toMatchObject(
      {
        failure: { code: "rejected", reason: expect.stringContaining("Operation not supported") as unknown },
      },
    );
    await host.run("mv /usr/sbin/nft.real /usr/sbin/nft");
    expect(await host.fingerprint()).toBe(standing);
    await resource.delete();
  });

  test("a nft that fails to load a change without a word has not loaded it: the change is rolled back", async () => {
    const resource = await Driven.create("LeakFence", "stays", { ...accessOf(host), ...fence(["10.0.0.0/8"]) });
    const more = { ...accessOf(host), ...fence(["10.0.0.0/8", "172.16.0.0/12"]) };
    const standing = await host.fingerprint();
    await host.run(
      `printf '#!/bin/sh\\ncase "$2" in /var/lib/drawbridge/txn/*/new.nft) exit 1 ;; esac\\nexec /usr/sbin/nft "$@"\\n' >/usr/local/sbin/nft; chmod 755 /usr/local/sbin/nft`,
    );
    await expect(resource.up(more)).rejects.toMatchObject({
      failure: { reason: expect.stringContaining("did not come to its end") as unknown },
    });
    await host.run("rm /usr/local/sbin/nft");
    expect(await host.fingerprint()).toBe(standing);
    // The control: it was nothing else that stopped it.
    await resource.up(more);
    expect(await resource.refresh()).toEqual({});
    await resource.delete();
  });

  test("what the host remembers of our address does not hide that ARP no longer works", async () => {
    const breakArp = `nft -f - <<'end'
      table arp broken {
        chain input { type filter hook input priority 0; drop; }
        chain output { type filter hook output priority 0; drop; }
      }\nend`;
    const [mac, outside] = [(await host.run("cat /sys/class/net/eth0/address")).stdout.trim(), "02:db:00:00:00:01"];
    const resource = await Driven.create("LeakFence", "arp", { ...accessOf(host), ...fence(["10.0.0.0/8"]) });
    const standing = await host.fingerprint();
    // We know the host for good, so that all hangs on whether it can find us.
    await host.outside(`ip neigh replace ${host.address} lladdr ${mac} dev labsw nud permanent`);
    await host.run(breakArp);
    const healing = (async () => {
      for (const isOver of [(who: string) => who !== "nothing", (who: string) => who === "nothing"])
        for (let tries = 0; !isOver(await pending()) && tries < 400; tries++) await sleep(50);
      await host.run("nft delete table arp broken");
    })();
    await expect(resource.up({ ...accessOf(host), ...fence(["172.16.0.0/12"], 5) })).rejects.toMatchObject({
      failure: { code: "undone" },
    });
    await healing;
    expect(await host.fingerprint()).toBe(standing);

    // Where the host needs no ARP to find us, the same change passes.
    await host.run(`${breakArp}\nip neigh replace 198.18.0.1 lladdr ${outside} dev eth0 nud permanent`);
    await resource.up({ ...accessOf(host), ...fence(["172.16.0.0/12"]) });
    await host.run("nft delete table arp broken; ip neigh delete 198.18.0.1 dev eth0");
    await host.outside(`ip neigh delete ${host.address} dev labsw`);
    await resource.delete();
  });

  /** Until /run/held is gone. */
  const holdLock = () =>
    host.run(`
      : >/run/held
      setsid -f flock /run/drawbridge.lock timeout 25 sh -c 'echo yes >/run/held; while [ -e /run/held ]; do sleep 0.02; done' </dev/null >/dev/null 2>&1
      while ! [ -s /run/held ]; do sleep 0.02; done`);

  test("a confirmation that has to wait for the lock has decided nothing yet, so that nobody loads the copies of before", async () => {
    beforeConfirmation(holdLock);
    const creating = Driven.create("LeakFence", "waits", { ...accessOf(host), ...fence(["10.0.0.0/8"]) });
    await host.run("while ! { [ -s /run/held ] && pgrep -xf 'flock -w 30 9'; }; do sleep 0.02; done");
    const { stdout } = await host.run("ls /var/lib/drawbridge/txn/*; rm /run/held");
    expect(stdout.split("\n")).toContain("pending");
    expect(stdout.split("\n")).not.toContain("confirmed");
    const resource = await creating;
    expect(await resource.refresh()).toEqual({});
    await resource.delete();
  });

  test("a confirmation that hangs on a connection that lives is given up in time, and the host undoes", async () => {
    beforeConfirmation(holdLock);
    const before = await host.fingerprint();
    const creating = Driven.create("LeakFence", "hangs", {
      ...accessOf(host),
      ...fence(["10.0.0.0/8"]),
      confirmDeadlineSeconds: 6,
    });
    const failing = expect(creating).rejects.toMatchObject({ failure: { code: "undone" } });
    await host.run(`
      while ! { [ -s /run/held ] && pgrep -xf 'flock -w 30 9'; }; do sleep 0.02; done
      pgrep -f 'drawbridge-host [c]onfirm' >/run/hanging
      kill -STOP $(cat /run/hanging)
      rm /run/held`);
    await failing;
    await host.run("kill -KILL $(cat /run/hanging) 2>/dev/null; rm /run/hanging");
    // It held the lock to its end; the next one leaves the host as it was.
    await (await Driven.create("LeakFence", "next", { ...accessOf(host), ...fence(["10.0.0.0/8"]) })).delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test.each([
    { story: "an administrator has put there stays", byHand: true },
    { story: "came with the first resource goes", byHand: false },
  ])("with the last resource, the program that $story", async ({ byHand }) => {
    const path = "/usr/local/sbin/drawbridge-host";
    const program = readFileSync(join(__dirname, "..", "..", "dist", "host", "drawbridge-host"), "utf8");
    const there = async () => (await host.run(`cat ${path} 2>/dev/null || :`)).stdout;
    if (byHand) await host.run(`cat >${path} && chmod 755 ${path}`, { stdin: program });
    const standing = await host.fingerprint();
    const resource = await Driven.create("LeakFence", "program", { ...accessOf(host), ...fence(["10.0.0.0/8"]) });
    expect(await there()).toBe(program);
    await resource.delete();
    expect(await there()).toBe(byHand ? program : "");
    expect(await host.fingerprint()).toBe(standing);
    await host.run(`rm -f ${path}`);
  });

  test("an undo that cannot put a file back says so, and keeps what the file was", async () => {
    const args = { ...accessOf(host), ...fence(["10.0.0.0/8"], 4) };
    const resource = await Driven.create("LeakFence", "kept", args);
    const [path = ""] = (await host.run("ls /etc/drawbridge/nft/inet-drawbridge/*")).stdout.split("\n");
    const confirmed = (await host.run(`cat ${path}`)).stdout;
    const live = async () => ordered((await host.run("nft -s list table inet drawbridge")).stdout);
    const before = await live();
    // The file system has become read-only, and the way to us is gone.
    beforeConfirmation(async () => {
      await host.run("mount -t tmpfs -o ro tmpfs /etc/drawbridge/nft/inet-drawbridge");
      throw new HostError({ code: "unreachable", host: host.name, step: "connect", reason: "no route to host" });
    });
    const failure: unknown = await resource.up({ ...args, networks: ["172.16.0.0/12"] }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ failure: { code: "undone" } });
    await host.run("umount /etc/drawbridge/nft/inet-drawbridge");
    expect(await live()).toBe(before);
    expect((await host.run(`cat ${path}`)).stdout).toContain("172.16.0.0/12");
    const [, named, kept = ""] =
      /could not put back: (.*); each call tries it again, with what is kept in (\S+)/.exec(String(failure)) ?? [];
    expect(named).toBe(path);
    expect((await host.run(`cat ${kept}/old${path}`)).stdout).toBe(confirmed);
    // What waits to be tried again needs neither the texts of the change nor a program of its own.
    expect((await host.run(`ls -d /run/drawbridge/proven.* ${kept}/drawbridge-host 2>/dev/null || :`)).stdout).toBe("");
    // Where systemd does not run, the undo's journal is this file.
    expect((await host.run(`cat ${kept}/arm.log`)).stdout).toContain(`could not put back: ${path}`);
    // Whoever comes next finds the file system writable again and puts it back.
    expect(await resource.refresh()).toEqual({});
    expect((await host.run(`cat ${path}`)).stdout).toBe(confirmed);
    await resource.delete();
  });

  test("so does one that cannot take a group away, and the next call does it", async () => {
    const before = await host.fingerprint();
    const groups = async () => (await host.run("cat /etc/group /etc/gshadow")).stdout;
    const had = await groups();
    beforeConfirmation(async () => {
      await host.run("mount --bind /etc /etc && mount -o remount,bind,ro /etc");
      throw new HostError({ code: "unreachable", host: host.name, step: "connect", reason: "no route to host" });
    });
    const args = { ...accessOf(host), name: "stayers", confirmDeadlineSeconds: 4 };
    const failure: unknown = await Driven.create("SystemGroup", "stays", args).catch((error: unknown) => error);
    expect(failure).toMatchObject({ failure: { code: "undone" } });
    expect(String(failure)).toMatch(/could not put back: .*group:stayers \(is\); each call tries it again/);
    await host.run("umount /etc");
    expect(await groups()).toContain("stayers:");
    // Anybody's call; it is not ours any more, so that it would be refused otherwise.
    const again = await Driven.create("SystemGroup", "stays", args);
    await again.delete();
    expect(await groups()).toBe(had);
    expect(await host.fingerprint()).toBe(before);
  });

  test("so does one that cannot take away what boot would load in the place of a table", async () => {
    const before = await host.fingerprint();
    const shut = async () => (await host.run("cat /etc/drawbridge/shut/* 2>/dev/null || :")).stdout;
    beforeConfirmation(async () => {
      await host.run("mount --bind /etc/drawbridge /etc/drawbridge && mount -o remount,bind,ro /etc/drawbridge");
      throw new HostError({ code: "unreachable", host: host.name, step: "connect", reason: "no route to host" });
    });
    const args = { ...accessOf(host), ...fence(["10.0.0.0/8"], 4) };
    const failure: unknown = await Driven.create("LeakFence", "never", args).catch((error: unknown) => error);
    expect(failure).toMatchObject({ failure: { code: "undone" } });
    expect(String(failure)).toMatch(/could not put back: .*\/etc\/drawbridge\/shut\/inet\.nft.*; each call tries it again/);
    // It cannot be written yet, and whoever looks is told.
    const status = async () => (await host.run("drawbridge-host settle; drawbridge-host status", { allowFailure: true })).stdout;
    expect(await status()).toMatch(/^not rolled back completely yet: LeakFence never; .*"drawbridge-host settle"$/m);
    await host.run("umount /etc/drawbridge");
    expect(await shut()).toContain('"eth0"');
    await host.run("drawbridge-host settle");
    expect(await shut()).toBe("");
    expect(await host.fingerprint()).toBe(before);
  });
});
