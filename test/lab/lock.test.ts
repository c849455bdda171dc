import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "../../dist/core/errors";
import { RemoteHost } from "../../dist/host/remote-host";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven } from "./drive";

/** Locks whatever of ours it can open, as soon as it is there, and keeps it. */
const HOLDER = `#!/bin/sh
while :; do
	for file in $(find /run/drawbridge* /var/lib/drawbridge -type f -o -type p 2>/dev/null); do
		[ ! -r "$file" ] || flock -n "$file" true || continue
		[ ! -r "$file" ] || { setsid -f flock -s -n "$file" sleep 300 </dev/null >/dev/null 2>&1; echo "$file" >>/tmp/held-by-$(id -un); }
	done
	sleep 0.02
done
`;

let host: LabHost;
const args = (...networks: string[]) => ({ ...accessOf(host), confirmDeadlineSeconds: 6, uplink: "wan1", networks });
/** Shorter than anybody waits for the lock. */
const inTime = (command: string) => host.run(`timeout 20 ${command}`, { allowFailure: true });
const holding = (user: string) => host.run("setsid -f sh /tmp/holder </dev/null >/dev/null 2>&1", { user });
const held = async (user: string) => (await host.run(`cat /tmp/held-by-${user} 2>/dev/null; true`)).stdout;
const lockMode = async () => (await host.run("stat -c %U:%a /run/drawbridge.lock")).stdout.trim();
const hooks = async () =>
  (await host.run("nft list table netdev drawbridge | grep -c 'hook egress'", { allowFailure: true })).stdout.trim();
const egress = { one: "ip link add wan1 type veth peer name wanp && ip link set wan1 up", none: "ip link delete wan1" };

beforeAll(async () => {
  host = await startHost();
  await host.run("cat >/tmp/holder; chmod 755 /tmp/holder; echo nameserver 203.0.113.53 >/etc/resolv.conf", { stdin: HOLDER });
  await host.run(`cat >/tmp/slow-nft; chmod 755 /tmp/slow-nft`, {
    stdin: "#!/bin/sh\ncat >/dev/null\n: >/run/at-work\nwhile [ -e /run/at-work ]; do sleep 0.05; done\n",
  });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await host.run("pkill -u plain; pkill -f '[t]mp/holder'; rm -f /run/at-work /tmp/held-by-*; true");
});
afterAll(() => host.down());

test("a user of the host who locks what he can open delays no change, no device that appears, no flush and no undo", async () => {
  await holding("plain");
  const fence = await Driven.create("LeakFence", "f", args("rfc1918"));
  await fence.up(args("rfc1918", "ula"));
  expect(await fence.refresh()).toEqual({});
  await host.run(egress.one);
  expect(await inTime("drawbridge-host load")).toMatchObject({ code: 0 });
  expect(await hooks()).toBe("1");
  await host.run("echo 'flush ruleset; table inet admin { }' >/etc/nftables.conf");
  expect(await inTime("drawbridge-host around /usr/sbin/nft -f /etc/nftables.conf")).toMatchObject({ code: 0 });
  expect((await host.run("nft list tables")).stdout).toContain("inet admin");
  expect(await hooks()).toBe("1");

  let undoneAfterSeconds = NaN;
  jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async () => {
    const applied = Date.now();
    while ((await host.run("ls -A /var/lib/drawbridge/txn")).stdout !== "") await sleep(100);
    undoneAfterSeconds = (Date.now() - applied) / 1000;
    throw new HostError({ code: "unreachable", host: host.address, step: "connect", reason: "no route to host" });
  });
  await expect(fence.up(args("198.51.100.0/24"))).rejects.toMatchObject({ failure: { code: "undone" } });
  // Its deadline is 6 s; an undo waits 20 s for the lock before it goes on without it.
  expect(undoneAfterSeconds).toBeLessThan(20);
  expect(await fence.refresh()).toEqual({});
  expect(await held("plain")).toBe("");
  await fence.delete();
  await host.run(egress.none);
});

test("the control: whoever can open the lock, as root can, does delay them", async () => {
  const fence = await Driven.create("LeakFence", "f", args("rfc1918"));
  await holding("root");
  while (!(await held("root")).includes("/run/drawbridge.lock\n")) await sleep(50);
  expect(await host.run("timeout 3 drawbridge-host load", { allowFailure: true })).toMatchObject({ code: 124 });
  await host.run("pkill -f '[t]mp/holder'; pkill -xf 'sleep 300'; true");
  await fence.delete();
});

test("a change whose program is swept away while it waits for the lock brings it again", async () => {
  const fence = await Driven.create("LeakFence", "f", args("rfc1918"));
  await host.run(`setsid -f flock /run/drawbridge.lock sh -c ': >/run/at-work; while [ -e /run/at-work ]; do sleep 0.05; done' </dev/null >/dev/null 2>&1
    while [ ! -e /run/at-work ]; do sleep 0.05; done`);
  // It has looked at the host already, so that the first thing that waits is the change.
  const creating = Driven.create("LeakFence", "g", args("ula"));
  await host.run(`for i in $(seq 600); do pgrep -f 'drawbridge-host [a]pply' >/dev/null && break; sleep 0.05; done
    pgrep -f 'drawbridge-host [a]pply' >/dev/null && sleep 1 && rm /usr/local/sbin/drawbridge-host /run/at-work`);
  const second = await creating;
  expect(await second.refresh()).toEqual({});
  await second.delete();
  await fence.delete();
});

describe("where an earlier version has made a lock that everybody can open", () => {
  const earlier = () =>
    host.run("rm -f /run/drawbridge.lock; umask 022; : >/run/drawbridge.lock; mkdir -p -m 755 /run/drawbridge");

  test("a user who holds it delays nobody any more, and cannot open what takes its place", async () => {
    await earlier();
    await holding("plain");
    while (!(await held("plain")).includes("/run/drawbridge.lock\n")) await sleep(50);
    expect((await host.run("flock -n /run/drawbridge.lock true", { allowFailure: true })).code).toBe(1);
    const fence = await Driven.create("LeakFence", "f", args("rfc1918"));
    expect(await inTime("drawbridge-host load")).toMatchObject({ code: 0 });
    expect(await lockMode()).toBe("root:600");
    expect(
      (await host.run("ls -d /run/drawbridge.lock.*; stat -c %a /run/drawbridge /var/lib/drawbridge", { allowFailure: true }))
        .stdout,
    ).toBe("700\n700\n");
    await fence.delete();
  });

  test("who is at work under it, or has it open to wait for it, is waited for; the two never work at once", async () => {
    const fence = await Driven.create("LeakFence", "f", args("rfc1918"));
    await earlier();
    // As programs of before take it: open for writing, then locked.
    const former = "exec 9>>/run/drawbridge.lock; flock -w 30 9; : >/run/former; while [ -e /run/former ]; do sleep 0.05; done";
    await host.run(`setsid -f sh -c '${former}' </dev/null >/dev/null 2>&1; while [ ! -e /run/former ]; do sleep 0.05; done`);
    expect(await host.run("timeout 3 drawbridge-host load", { allowFailure: true })).toMatchObject({ code: 124 });
    // Whoever was killed in the middle of it has not ended the waiting.
    expect(await host.run("timeout 3 drawbridge-host load", { allowFailure: true })).toMatchObject({ code: 124 });
    const loading = inTime("drawbridge-host load");
    await sleep(500);
    await host.run("rm /run/former");
    expect(await loading).toMatchObject({ code: 0 });
    expect(await lockMode()).toBe("root:600");
    await fence.delete();
  });

  test("an earlier program that comes later finds the lock that is held", async () => {
    const fence = await Driven.create("LeakFence", "f", args("rfc1918"));
    await earlier();
    const around = inTime("drawbridge-host around /tmp/slow-nft flush ruleset");
    await host.run("while [ ! -e /run/at-work ]; do sleep 0.05; done");
    const comes = "sh -c 'exec 9>>/run/drawbridge.lock; flock -n 9'";
    expect((await host.run(comes, { allowFailure: true })).code).toBe(1);
    await host.run("rm /run/at-work");
    await around;
    expect((await host.run(comes, { allowFailure: true })).code).toBe(0);
    await fence.delete();
  });
});
