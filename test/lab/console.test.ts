import { setTimeout as sleep } from "node:timers/promises";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven } from "./drive";

// What an administrator has who has no Node, no Pulumi and no network: the console.
let host: LabHost;
let fence: Driven;
const args = () => ({ ...accessOf(host), uplink: "eth0", networks: ["rfc1918"] });
const leaks = async () => (await host.run("ping -c 1 -W 1 10.9.9.9", { allowFailure: true })).code === 0;
const console = async (command: string) => {
  const { stdout, stderr } = await host.run(`drawbridge-host ${command}`, { allowFailure: true });
  return stdout + stderr;
};
/** What went to the journal; the lab has none, but the tool that writes it. */
const journal = async () => (await host.run("cat /root/journal 2>/dev/null || true")).stdout;

beforeAll(async () => {
  host = await startHost();
  await host.outside("ip address replace 10.9.9.9/32 dev labsw");
  await host.run(
    `printf '#!/bin/sh\nshift 4\n[ "$1" != -- ] || shift\necho "$*" >>/root/journal\n' >/usr/local/sbin/logger; chmod 755 /usr/local/sbin/logger`,
  );
  expect(await leaks()).toBe(true);
  fence = await Driven.create("LeakFence", "inside", args());
});
afterAll(() => host.down());

test("every change leaves one line in the journal: what became of whose change", async () => {
  const from = `by deploy from 198\\.18\\.0\\.1`;
  expect(await journal()).toMatch(new RegExp(`^created: LeakFence inside, of tests/lab, ${from}\\n$`));
  await host.run("echo '# mine' >/etc/sudoers.d/drawbridge-x; touch /root/before");
  await expect(
    Driven.create("SudoRule", "bad", {
      ...accessOf(host),
      users: ["deploy"],
      commands: [{ path: "/usr/bin/id" }],
      runAsUser: "root",
    }).then(async (rule) => {
      await rule.delete();
      throw new Error("made and deleted");
    }),
  ).rejects.toThrow("made and deleted");
  const lines = (await journal()).trim().split("\n");
  expect(lines.map((line) => line.split(",")[0])).toEqual([
    "created: LeakFence inside",
    "created: SudoRule bad",
    "deleted: SudoRule bad",
  ]);
  await expect(
    Driven.create("UserOutputChain", "nobody", {
      ...accessOf(host),
      user: "nobodyhere",
      allow: [{ to: "192.0.2.1", ports: [1] }],
    }),
  ).rejects.toThrow();
  expect(await journal()).toMatch(new RegExp(`\\nrefused: UserOutputChain nobody, of tests/lab, ${from}\\n$`));
  await host.run("rm /etc/sudoers.d/drawbridge-x");
});

test("a resource's name with line feeds forges neither user nor address nor deadline, and no control character reaches a terminal", async () => {
  const name = "x\npeer 192.0.2.1\nuser nobody\ndeadline 3600\n\u001b]0;owned\u0007";
  const right = await Driven.create("SudoRule", name, {
    ...accessOf(host),
    users: ["myself"],
    commands: [{ path: "/usr/bin/id" }],
  });
  const line = /^ {2}\S+ created: SudoRule x.*$/m;
  expect(line.exec(await console("status"))?.[0]).toMatch(/, by deploy from 198\.18\.0\.1$/);
  await right.delete();

  // A near side that does not clean its words, and says the host's own, too.
  const id = "0123456789abcdef".repeat(2);
  const request = `id ${id}\\ndeadline 20\\nholder y\\007\\npeer 192.0.2.1\\nuser nobody\\ndeadline 3600\\n`;
  await host.run(`mkdir /root/forged && cd /root/forged && printf '${request}' >request && : >manifest && : >held
    tar -cf - . | drawbridge-host apply '198.18.0.1 22 198.18.0.20 22' '' 1 0.0.1 >/dev/null
    cut -d' ' -f1 /var/lib/drawbridge/txn/${id}/until >until; cut -d. -f1 /proc/uptime >now; drawbridge-host undo`);
  const [until, now] = (await host.run("cd /root/forged && cat until now && rm -r /root/forged")).stdout
    .trim()
    .split("\n")
    .map(Number);
  expect((until ?? NaN) - (now ?? NaN)).toBeLessThan(30);
  const text = await console("status");
  expect(text).toMatch(/^ {2}\S+ undone: y, of , by root from 198\.18\.0\.1$/m);
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f]|by nobody|from 192/);
});

test("status tells what stands, whose it is, what is pending and what became of the last changes", async () => {
  const text = await console("status");
  expect(text).toMatch(/^drawbridge-host \S+, layout 1\npending: nothing\nlast changes:\n/);
  expect(text).toMatch(/ {2}\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ created: LeakFence inside, of tests\/lab, by deploy from /);
  expect(text).toMatch(
    /held:\n {2}\/etc\/drawbridge\/nft\/inet-drawbridge\/50-leak-fence-inside-[0-9a-f]+\.nft {2}\(tests\/lab LeakFence inside\)\n/,
  );
  expect(await console("help")).toContain("undo [ID]");
});

test("the history tells create, update and delete apart, and whatever an earlier or later package says is a confirmed change", async () => {
  const rule = (args: readonly string[]) => ({
    ...accessOf(host),
    users: ["myself"],
    commands: [{ path: "/usr/bin/id", args }],
  });
  const [one, two] = await Promise.all([Driven.create("SudoRule", "one", rule([])), Driven.create("SudoRule", "two", rule([]))]);
  await one.up(rule(["-u"]));
  await Promise.all([one.delete(), two.up(rule(["-g"]))]);
  await two.delete();
  for (const [number, action] of ["", "action rebooted\\n", "action created or not\\n"].entries()) {
    const id = String(number).repeat(32);
    await host.run(`mkdir /root/asked && cd /root/asked && : >manifest && : >held
      printf 'id ${id}\\ndeadline 20\\n${action}holder asked ${number}\\n' >request
      tar -cf - . | drawbridge-host apply '198.18.0.1 22 198.18.0.20 22' '' 1 0.0.1 >/dev/null
      echo ${id} | drawbridge-host confirm '198.18.0.1 22 198.18.0.20 22' '' 1 0.0.1 >/dev/null; rm -r /root/asked`);
  }
  const told = [...(await console("status")).matchAll(/^ {2}\S+Z ([a-z]+: (?:SudoRule (?:one|two)|asked \d)[^,]*),/gm)];
  expect(told.map(([, text = ""]) => text.replace(/(one|two) and/, "x and"))).toEqual([
    "created: SudoRule x and 1 more",
    "updated: SudoRule one",
    "changed: SudoRule x and 1 more",
    "deleted: SudoRule two",
    "confirmed: asked 0",
    "confirmed: asked 1",
    "confirmed: asked 2",
  ]);
});

test("there is a page for man, which knows every command", async () => {
  const { stdout: page } = await host.run("cat /usr/local/share/man/man8/drawbridge-host.8");
  const commands = [...(await console("help")).matchAll(/^ {2}([a-z]+) /gm)].map(([, command = ""]) => command);
  expect(commands.length).toBeGreaterThan(6);
  for (const command of commands) expect(page).toMatch(new RegExp(`^\\.TP\n\\.BR? ${command}\\b`, "m"));
});

test("what is pending can be undone without waiting for its deadline", async () => {
  expect(await console("undo")).toContain("nothing is pending");
  // Stateless: the first stateful rule of a host would cut the session that is to begin the change, too.
  await host.run(
    "nft add table ip block '{ chain in { type filter hook input priority 0; tcp dport 22 tcp flags & (syn | ack) == syn drop; }; }'",
  );
  const changing = fence.up({ ...args(), networks: ["rfc1918", "cgnat"], confirmDeadlineSeconds: 60 });
  const failed = expect(changing).rejects.toMatchObject({
    failure: { code: expect.stringMatching(/undone|unreachable/) as unknown },
  });
  try {
    for (let i = 0; i < 100 && (await console("status")).includes("pending: nothing"); i++) await sleep(100);
    expect(await console("status")).toContain("pending: LeakFence inside");
    await console("undo");
    expect(await console("status")).toMatch(/pending: nothing[^]*undone: LeakFence inside/);
    expect((await host.run("nft list table inet drawbridge")).stdout).not.toContain("100.64.0.0/10");
  } finally {
    await host.run("nft delete table ip block");
  }
  await failed;
}, 180_000);

test("all rules can be lifted in need, which is logged, seen by refresh, and put back", async () => {
  expect(await leaks()).toBe(false);
  await console("lift");
  expect(await leaks()).toBe(true);
  expect(await journal()).toMatch(/all rules were lifted by root, until the next boot/);
  expect(await console("status")).toContain("lifted: no rule of Drawbridge is in the kernel");
  // An interface that appears, as udev says it.
  expect(await console("load")).toContain("our rules are lifted");
  expect(await leaks()).toBe(true);
  await sleep(1100);
  expect(Object.keys((await fence.refresh()) as object)).toContain("deny rfc1918");
  await console("unlift");
  expect(await leaks()).toBe(false);
  await sleep(1100);
  expect(await fence.refresh()).toEqual({});
  await console("lift");
  expect(await fence.up({ ...args(), confirmDeadlineSeconds: 70 })).toBe(true);
  expect(await leaks()).toBe(false);
  expect(await console("status")).not.toContain("lifted");
  await fence.delete();
});
