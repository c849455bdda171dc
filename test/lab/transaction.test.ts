import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pooledHost } from "../../dist/host/pool";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
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
    // Each test leaves nothing behind, whatever it broke; while the host undoes, a look at it may fail.
    const look = () => host.fingerprint().catch(() => "in between");
    for (let tries = 0; (await look()) !== before && tries < 40; tries++) await sleep(500);
    expect(await look()).toBe(before);
  });
  afterAll(() => host.down());

  const pending = async () =>
    (await host.run("drawbridge-host status 2>/dev/null | sed -n 's/^pending: //p'", { allowFailure: true })).stdout.trim();

  test("a change that locks us out is undone by the host itself, and the error says so", async () => {
    const started = Date.now();
    await expect(
      Driven.create("LeakFence", "lock-out", { ...roundabout(host), ...fence(["198.18.0.1/32"], 6) }),
    ).rejects.toMatchObject({
      failure: { code: "undone", reason: expect.stringContaining("put itself back after 6 s") as unknown },
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
});
