import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

const DEAD = `...{ connection: { host: "192.0.2.1", user: "deploy", hostKey: "ssh-ed25519 AAAA" } }`;

const program = (access: string) => `
  new drawbridge.LeakFence("inside", { ${access}, uplink: "eth0", networks: ["rfc1918"] });
  new drawbridge.OutputGuard("spice", { ${access}, ports: [20002], addresses: ["203.0.113.9"] });
  new drawbridge.UserOutputChain("vm1", { ${access}, user: "myself", utcOffset: "+02:00",
    allow: [{ to: "203.0.113.9", ports: [20002], when: { days: ["Monday", "Tuesday"], hours: "08:00-17:00" } }] });
  new drawbridge.SudoRule("viewer", { ${access}, users: ["myself"], commands: [{ path: "/usr/bin/id" }] });`;

interface Report {
  readonly leaks: readonly {
    readonly host: string;
    readonly resource: string;
    readonly counters: readonly { readonly line: string; readonly packets: number; readonly bytes: number }[];
    readonly log: readonly string[];
  }[];
  readonly unreachable: readonly { readonly host: string; readonly reason: string }[];
}

describe("explain", () => {
  let stack: Stack;
  beforeAll(async () => {
    // Nothing stands yet, and nothing answers there.
    stack = await Stack.create(program(DEAD));
  });
  afterAll(() => stack.dispose());

  test("says in short what each resource does, sorted by name, and how to see more", async () => {
    const { code, text } = await stack.drawbridge("explain");
    expect(`${code}\n${text}`).toMatch(
      /^0\nLeakFence inside, \d+ lines on the host\n[^]* {2}deny: rfc1918\n[^]*\nOutputGuard spice, \d+ lines [^]*\nSudoRule viewer, 1 line on the host\n {2}myself ALL=\(root\) .*\n[^]*\nUserOutputChain vm1, 1 line on the host\n {2}allow: tcp 20002 on 203\.0\.113\.9\n\nEach line with its reason: drawbridge explain NAME, or --lines for all\.\n$/,
    );
    expect(text.split("\n").length).toBeLessThan(30);
  });

  test("shows each line that would stand and what it is for, without a host", async () => {
    const { code, text } = await stack.drawbridge("explain", "--lines");
    expect(`${code}\n${text}`).toMatch(/^0\n/);
    expect(text).toMatch(
      /LeakFence inside\n[^]* {2}inet 20 deny to 10\.0\.0\.0\/8\n {4}….to.ipv4 \{ 10\.0\.0\.0\/8 : "….to.10\.0\.0\.0\/8" \}\n {4}= is a member of ….to.ipv4, with a counter of its own/,
    );
    expect(text).toMatch(/= ICMPv6 of types \d+ to \d+, without which the link does not work/);
    expect(text).not.toMatch(/of types \d+(?! to)\b/);
    expect(text).toContain("= what goes to 203.0.113.9, to tcp port 20002, Monday to Tuesday 06:00 to 15:00 UTC is allowed");
    expect(text).toMatch(/SudoRule viewer\n.*\n.*\n {4}= myself may run just this command line as root, with a password/);
  });

  test("takes names, prints data, and says which names there are", async () => {
    const { text } = await stack.drawbridge("explain", "--json", "viewer");
    const [only, ...others] = JSON.parse(text) as { resource: string; lines: { id: string; line: string; why: string }[] }[];
    expect(others).toEqual([]);
    expect(only?.resource).toBe("SudoRule viewer");
    expect(only?.lines.map(({ id }) => id)).toEqual(["50 allow 001 /usr/bin/id"]);
    const wrong = await stack.drawbridge("explain", "views");
    expect(wrong.code).toBe(1);
    expect(wrong.text).toMatch(/no resource of Drawbridge is called views; there are: .*LeakFence inside/);
  });

  test("what is not known before another resource exists is said so, and the rest is explained", async () => {
    const random = "new (class extends pulumi.ComponentResource { constructor() { super('x:y:Z', 'z'); } })()";
    stack.program(`${random};\nconst later = pulumi.output(pulumi.runtime.isDryRun() ? pulumi.unknown : "eth0");
      new drawbridge.LeakFence("later", { ${DEAD}, uplink: later, networks: ["rfc1918"] });
      new drawbridge.SudoRule("viewer", { ${DEAD}, users: ["myself"], commands: [{ path: "/usr/bin/id" }] });`);
    const { code, text } = await stack.drawbridge("explain", "--lines");
    expect(`${code}\n${text}`).toMatch(/^0\n/);
    expect(text).toMatch(/LeakFence later\n {2}its arguments are not known before other resources exist/);
    expect(text).toContain("may run just this command line");
  });
});

describe("leaks", () => {
  let host: LabHost;
  let stack: Stack;
  beforeAll(async () => {
    host = await startHost();
    await host.outside("ip addr replace 10.9.9.9/32 dev labsw; ip addr replace 203.0.113.9/32 dev labsw");
    stack = await Stack.create(program(hostText(host)));
    await stack.up();
  });
  afterAll(async () => {
    await stack.destroy();
    stack.dispose();
    await host.down();
  });

  const report = async (...more: string[]) => JSON.parse((await stack.drawbridge("leaks", "--json", ...more)).text) as Report;

  test("counts nothing before there is a leak, then each line by itself, with what was logged", async () => {
    const before = await report();
    // A UserOutputChain counts nothing.
    expect(before.leaks.map(({ resource }) => resource)).toEqual(["LeakFence inside", "OutputGuard spice"]);
    const lines = before.leaks[0]?.counters.map(({ line }) => line) ?? [];
    expect(lines.slice(0, 3)).toEqual([
      "inet 20 deny to 10.0.0.0/8",
      "inet 20 deny to 172.16.0.0/12",
      "inet 20 deny to 192.168.0.0/16",
    ]);
    expect(before.leaks.flatMap(({ counters }) => counters.map(({ packets }) => packets)).filter((n) => n > 0)).toEqual([]);

    await host.run("ping -c 2 -W 1 10.9.9.9; true");
    await host.run("setpriv --reuid mybro --regid mybro --clear-groups timeout 2 nc -z -w 1 203.0.113.9 20002; true");
    // A namespace's own log lines reach no log (nf_log_all_netns is the machine's); the tool that shows them is the host's.
    const object =
      (await host.run("ls /etc/drawbridge/nft/inet-drawbridge")).stdout.match(/leak-fence-inside-[0-9a-f]+/)?.[0] ?? "";
    const line = (number: number) => `[ 1.${number}] drawbridge ${object}: IN= OUT=eth0 SRC=198.18.0.9 DST=10.9.9.9 ID=${number}`;
    await host.run(
      `printf '#!/bin/sh\\ncat /root/ring\\n' >/usr/local/sbin/dmesg; chmod 755 /usr/local/sbin/dmesg; cat >/root/ring`,
      {
        stdin: [line(1), "[ 1.5] something else", line(2), line(3)].join("\n"),
      },
    );

    const after = await report("--lines", "2");
    const inside = after.leaks.find(({ resource }) => resource === "LeakFence inside");
    expect(inside?.host).toBe(`deploy@${host.address}:22`);
    expect(inside?.counters.find(({ line: id }) => id === "inet 20 deny to 10.0.0.0/8")).toMatchObject({
      packets: 2,
      bytes: 168,
    });
    expect(inside?.counters.find(({ line: id }) => id === "inet 20 deny to 192.168.0.0/16")).toMatchObject({ packets: 0 });
    expect(inside?.log).toEqual([line(2), line(3)]);
    const guard = after.leaks.find(({ resource }) => resource === "OutputGuard spice");
    expect(guard?.counters.reduce((sum, { packets }) => sum + packets, 0)).toBeGreaterThan(0);

    const { code, text } = await stack.drawbridge("leaks", "inside");
    expect(code).toBe(0);
    expect(text).toMatch(/LeakFence inside *│ inet 20 deny to 10\.0\.0\.0\/8 *│ 2 *│ 168/);
    expect(text).not.toContain("OutputGuard");
  });

  test("explain knows what stands already, too", async () => {
    const { code, text } = await stack.drawbridge("explain", "viewer");
    expect(`${code}\n${text}`).toMatch(/^0\nSudoRule viewer\n/);
    expect((await stack.drawbridge("explain")).text).toMatch(/^LeakFence inside, \d+ lines on the host\n/);
  });

  test("status says what stands, what waits for something, what is missing, what is pending and what others have", async () => {
    const before = await stack.drawbridge("status");
    expect(before).toEqual({
      code: 0,
      text: `deploy@${host.address}:22
  LeakFence inside     stands
  OutputGuard spice    stands
  SudoRule viewer      stands
  UserOutputChain vm1  stands
`,
    });
    const path = (await host.run("ls /var/lib/drawbridge/confirmed/etc/sudoers.d/drawbridge-*")).stdout.trim();
    // A colleague's resource, a fence whose interface was renamed, a user who has gone, a rule that was lost, a change under way.
    await host.run(`
      cd /var/lib/drawbridge/confirmed/etc
      sed -e 's/^# object .*/# object sudo-rule-theirs-00000000/' -e 's,^# from .*,# from theirs/prod SudoRule theirs,' ${path} >sudoers.d/drawbridge-sudo-rule-theirs-00000000
      mv ${path} /root/rule
      sed -i 's/^# attach postrouting eth0/# attach postrouting eth7/' drawbridge/nft/inet-drawbridge/*leak-fence*
      sed -i 's/^# attach users myself/# attach users gone/' drawbridge/nft/inet-drawbridge/*user-output*
      mkdir -p /var/lib/drawbridge/txn/t; echo 'Bridge x, of a/b, by c' | tee /var/lib/drawbridge/txn/t/holder >/var/lib/drawbridge/txn/t/pending`);
    try {
      const { code, text } = await stack.drawbridge("status");
      expect(code).toBe(0);
      expect(text).toBe(`deploy@${host.address}:22
  LeakFence inside     waits for interface eth7
  OutputGuard spice    stands
  SudoRule viewer      is not on this host
  UserOutputChain vm1  waits for user gone
  pending, not confirmed yet: Bridge x, of a/b, by c
  and 1 of others: theirs/prod SudoRule theirs
`);
      const console = (await host.run("drawbridge-host status")).stdout;
      expect(console).toMatch(/LeakFence inside\)\n {4}waits for the interface eth7\n/);
      expect(console).toMatch(/UserOutputChain vm1\)\n {4}waits for the user gone\n/);
      const { hosts } = JSON.parse((await stack.drawbridge("status", "--json")).text) as { hosts: { resources: object[] }[] };
      expect(hosts[0]?.resources[0]).toEqual({
        resource: "LeakFence inside",
        state: "waits",
        waitsFor: ["interface eth7"],
      });
    } finally {
      await host.run(`
        cd /var/lib/drawbridge/confirmed/etc; rm -r /var/lib/drawbridge/txn/t sudoers.d/*theirs*; mv /root/rule ${path}
        sed -i 's/eth7/eth0/' drawbridge/nft/inet-drawbridge/*leak-fence*; sed -i 's/^# attach users gone/# attach users myself/' drawbridge/nft/inet-drawbridge/*user-output*`);
    }
    expect((await stack.drawbridge("status")).text).toBe(before.text);
  });

  test("a host that does not answer is named, the others are shown, and the exit code says it", async () => {
    await host.run("iptables -I INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset");
    try {
      const { code, text } = await stack.drawbridge("leaks", "--json");
      expect(code).toBe(1);
      expect((JSON.parse(text) as Report).unreachable).toEqual([
        { host: `deploy@${host.address}:22`, reason: expect.stringContaining("connect") as unknown },
      ]);
      const status = await stack.drawbridge("status");
      expect(status.code).toBe(1);
      expect(status.text).toContain(`${host.address}:22 could not be asked: `);
    } finally {
      await host.run("iptables -D INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset");
    }
  });

  test("nothing secret is printed, and a folder without a program is an error in pulumi's own words", async () => {
    const { code, text } = await stack.drawbridge("leaks", "--cwd", "/");
    expect(code).toBe(1);
    expect(text).toMatch(/pulumi stack export .*failed:\n.*error: /);
  });
});
