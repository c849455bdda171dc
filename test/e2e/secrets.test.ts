import { readFileSync } from "node:fs";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
import { execute } from "../../tools/lab/process";
import { hostText, Stack } from "./stack";

const password = "pl4nted-pa55word";
const passwordOfEnv = "pl4nted-1n-the-environment";
const key = readFileSync(clientKeyPath, "utf8");
/** Two lines out of the middle of the key are enough to know it by. */
const planted = [password, passwordOfEnv, ...key.split("\n").slice(2, 4)];

const resources = `
const connection = { host: process.env.TEST_HOST, user: "deploy", hostKey: process.env.TEST_HOST_KEY, dialErrorLimit: 1, perDialTimeout: 5,
  privateKey: pulumi.secret(process.env.TEST_KEY), password: pulumi.secret(process.env.TEST_PASSWORD) };
const host = { connection, become: true, passwordEnv: "TEST_PASSWORD_OF_ENV" };
new drawbridge.SudoRule("who", { ...host, users: ["myself"], commands: [{ path: "/usr/bin/id", args: [process.env.TEST_ARGUMENT] }] });
new drawbridge.LeakFence("fence", { ...host, uplink: process.env.TEST_UPLINK, networks: ["rfc1918"], exceptions: [{ cidr: "10.0.5.1", direction: "to" }] });
new drawbridge.Bridge("bridge", { ...host, name: "br7" });
`;

let host: LabHost;
let stack: Stack;
beforeAll(async () => {
  host = await startHost();
  stack = await Stack.create(resources, {
    env: {
      TEST_HOST: host.address,
      TEST_HOST_KEY: host.hostKey,
      TEST_KEY: key,
      TEST_PASSWORD: password,
      TEST_PASSWORD_OF_ENV: passwordOfEnv,
      TEST_ARGUMENT: "-u",
      TEST_UPLINK: "eth0",
    },
  });
});
afterAll(async () => {
  stack.dispose();
  await host.down();
});

/** Looks at all processes of the host, their arguments and variables, and at the folders that everybody may write to, again and again until the work is done. */
async function watched<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly looks: number; readonly seen: string }> {
  await host.run("rm -f /run/watch.*; cat >/run/watch.sh; setsid -f sh /run/watch.sh </dev/null >/dev/null 2>&1", {
    // What is looked for comes by a builtin, so that the looking does not find itself.
    stdin: `patterns='${[...planted, "drawbridge-host"].join("\n")}'
n=0
while [ ! -e /run/watch.stop ]; do
  n=$((n + 1))
  cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' >/run/watch.now
  printf '%s\\n' "$patterns" >/run/watch.patterns
  grep -F -f /run/watch.patterns /run/watch.now >>/run/watch.seen
  ls -A /tmp /var/tmp /dev/shm >>/run/watch.folders
done
echo $n >/run/watch.looks
`,
  });
  const result = await work();
  const { stdout } = await host.run(`: >/run/watch.stop
    for i in $(seq 200); do [ -s /run/watch.looks ] && break; sleep 0.1; done
    sort -u /run/watch.folders | sed 's/^/folders: /'; sort -u /run/watch.seen; cat /run/watch.looks`);
  const lines = stdout.trimEnd().split("\n");
  return { result, looks: Number(lines.pop()), seen: lines.join("\n") };
}

/** Files of the host that hold something of what was planted. */
const filesWithIt = async () =>
  (
    await host.run(
      "grep -rlaF -f - / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev 2>/dev/null | grep -v '^/run/watch'; true",
      { stdin: `${planted.join("\n")}\n` },
    )
  ).stdout.trim();

const expectNothingOf = (text: string) => {
  for (const secret of planted) expect(text).not.toContain(secret);
};

test("no secret is in a process, a file of the host, the state, an output or an error", async () => {
  const { result, looks, seen } = await watched(async () => [
    await stack.up(),
    await stack.refresh(),
    await stack.preview(),
    // What fails on the host, and what fails on the way to it.
    await stack
      .run(["up", "--yes", "--skip-preview"], { env: { TEST_UPLINK: "nowhere0", TEST_ARGUMENT: "-g" } })
      .then(({ text }) => text),
    await stack.run(["up", "--yes", "--skip-preview"], { env: { TEST_HOST: "198.18.255.253" } }).then(({ text }) => text),
    await stack
      .run(["up", "--yes", "--skip-preview"], { env: { TEST_HOST_KEY: `ssh-ed25519 ${"A".repeat(68)}` } })
      .then(({ text }) => text),
    (await stack.drawbridge("leaks")).text,
  ]);
  expectNothingOf(result.join("\n"));
  expect(result.join("\n")).toContain("unreachable");
  // The controls: it did look, and at us.
  expect(looks).toBeGreaterThan(20);
  expect(seen).toContain("/usr/local/sbin/drawbridge-host");
  expectNothingOf(seen);
  expect(seen).toMatch(/^folders: \/tmp:$/m);
  expect(seen).not.toMatch(/^folders: .*(drawbridge|tmp\.)/m);
  expectNothingOf(host.log());
  await host.run("cat >/root/control", { stdin: password });
  expect(await filesWithIt()).toBe("/root/control");
  await host.run("rm /root/control");

  const { stdout: onDisk } = await execute(["grep", "-rlaF", ...planted.flatMap((secret) => ["-e", secret]), stack.folder]);
  expect(onDisk).toBe("");
  const state = await stack.expect("stack", "export");
  expectNothingOf(state);
  // The control: asked for, they are there.
  expect(await stack.expect("stack", "export", "--show-secrets")).toContain(password);
});

test("what lies on the host can be changed by root alone, and sudo's rights are read by root alone", async () => {
  const places = "/etc/drawbridge /var/lib/drawbridge /run/drawbridge /usr/local/sbin /etc/sudoers.d";
  const writable = await host.run(`find ${places} ! -type l \\( ! -user root -o -perm /022 \\)`);
  expect(writable.stdout).toBe("");
  // The control: there is something.
  expect((await host.run(`find ${places} -name '*' | grep -c drawbridge`)).stdout).toMatch(/^[1-9]\d/);
  const readable =
    "find /etc/drawbridge /var/lib/drawbridge /etc/sudoers.d -type f -exec grep -la /usr/bin/id {} + 2>/dev/null; true";
  expect((await host.run(readable)).stdout).toContain("/var/lib/drawbridge/confirmed/etc/sudoers.d/drawbridge-");
  expect((await host.run(readable, { user: "plain" })).stdout).toBe("");
  await stack.destroy();
});

describe("an argument that is a secret", () => {
  const secret = "pl4nted-argument";
  let quiet: Stack;
  const program = (path: string, then = "") => `
const connection = { host: "${host.address}", user: "deploy", hostKey: "${host.hostKey}", privateKey: process.env.TEST_KEY, password: "${password}",
  proxy: undefined };
const host = { connection, become: true };
new drawbridge.SudoRule("hidden", { ...host, users: ["myself"], commands: [{ path: "${path}", args: [new pulumi.Config().requireSecret("argument")] }] });
new drawbridge.SudoRule("shown", { ...host, users: ["myself"], commands: [{ path: "${path}", args: ["shown-argument"] }] });
${then}`;

  beforeAll(async () => {
    quiet = await Stack.create(program("/usr/bin/id"), { env: { TEST_KEY: key, SSH_AUTH_SOCK: "" } });
    await quiet.expect("config", "set", "--secret", "argument", secret);
  });
  afterAll(() => quiet.dispose());

  test("is in no line that Pulumi shows or stores in clear, drift included; what is none is", async () => {
    const said = [await quiet.preview(), await quiet.up(), await quiet.expect("stack", "export")];
    await host.run("sed -i s/-argument/-tampered/ /etc/sudoers.d/drawbridge-*");
    said.push(await quiet.refresh(), await quiet.preview(), await quiet.expect("stack", "export"), await quiet.up());
    quiet.program(program("/usr/bin/who"));
    said.push(await quiet.up(), (await quiet.drawbridge("explain")).text);
    const text = said.join("\n");
    expect(text).not.toContain("pl4nted");
    expect(text).toContain("50 #1: [secret]");
    // The controls: the other one's lines, in all of them, and what is no secret of a connection.
    expect(said.filter((each) => each.includes("shown-argument")).length).toBeGreaterThan(6);
    expect(text).toContain("shown-tampered");
    expect(text).toMatch(/host *: "198\.18\./);
    expect(await quiet.expect("stack", "export", "--show-secrets")).toContain(secret);
    expect(await quiet.preview()).toContain("3 unchanged");
  });

  test("is not in the error of an `explain` whose preview fails; the program's own error is", async () => {
    quiet.program(program("/usr/bin/who", 'setTimeout(() => { throw new Error("boom"); }, 1500);'));
    const { code, text } = await quiet.drawbridge("explain");
    expect(code).not.toBe(0);
    expect(text).not.toContain("pl4nted");
    expect(text).toContain("boom");
    expect(text).not.toContain("__provider");
  });

  describe("in what a host, one of its tools or we say of it", () => {
    /** Each resource is refused with the words of somebody else; none is a secret of the stack's configuration, which the engine hides itself. */
    const refused = {
      check: [
        "pl4nted-twice",
        (value: string) => `new drawbridge.SystemGroup("group", { ...host, name: "team", members: [${value}, ${value}] });`,
      ],
      host: [
        "pl4nted-user",
        (value: string) => `new drawbridge.GuardedFile("file", { ...host, path: "/usr/bin/id", owner: ${value} });`,
      ],
      needs: [
        "pl4nted-name",
        (value: string) =>
          `new drawbridge.UserOutputChain("chain", { ...host, user: ${value}, allow: [{ to: "192.0.2.1", ports: [443] }] });`,
      ],
      visudo: [
        "pl4nted,value",
        (value: string) =>
          `new drawbridge.SudoRule("rule", { ...host, users: ["myself"], commands: [{ path: "/usr/bin/id" }], commandDefaults: { syslog: ${value} } });`,
      ],
    } as const;
    const marked = (isMarked: boolean, value: string) =>
      isMarked ? `pulumi.secret(${JSON.stringify(value)})` : JSON.stringify(value);
    let stack: Stack;
    beforeAll(async () => {
      stack = await Stack.create("");
    });
    afterAll(() => stack.dispose());

    const access = () => `const host = { ${hostText(host)} };\n`;
    const failing = async (text: string, args: readonly string[], env: Record<string, string> = {}) => {
      stack.program(access() + text);
      const { code, text: said } = await stack.run(args, { env });
      expect(code).not.toBe(0);
      return said;
    };

    test.each(Object.entries(refused))("where it is refused: %s", async (_by, [value, declare]) => {
      const up = ["up", "--yes", "--skip-preview"];
      // The control: what is no secret is quoted.
      expect(await failing(declare(marked(false, value)), up)).toContain(value);
      for (const args of [up, ["preview"]]) {
        const said = await failing(declare(marked(true, value)), args, { DRAWBRIDGE_PREFLIGHT: "1" });
        expect(said).not.toContain("pl4nted");
        expect(said).toContain("[secret]");
      }
    });

    test("where it comes, changes and drifts", async () => {
      const rule = (value: string) =>
        access() +
        `new drawbridge.SudoRule("rule", { ...host, users: ["myself"], commands: [{ path: "/usr/bin/id", args: [${value}] }] });`;
      const said: string[] = [];
      for (const value of ["pl4nted-a:b", "pl4nted-c:d"]) {
        stack.program(rule(marked(true, value)));
        said.push(await stack.expect("preview"), await stack.up());
      }
      await host.run("sed -i 's/pl4nted-c/pl4nted-e/' /etc/sudoers.d/drawbridge-*");
      said.push(await stack.refresh(), await stack.expect("preview"), await stack.expect("up", "--yes", "--refresh"));
      const text = said.join("\n");
      expect(text).not.toContain("pl4nted");
      expect(text).toContain("1 line comes: + 50 #1: [secret]");
      expect(text).toContain("1 line changed: + 50 #1: [secret]");
      // The control: the same of what is no secret.
      stack.program(rule(marked(false, "pl4nted-f")));
      expect(await stack.expect("preview", "--diff")).toContain("pl4nted-f");
      await stack.destroy();
    });
  });

  test("a change of host, user or port shows; of a key, that it changed", async () => {
    quiet.program(program("/usr/bin/who").replace('user: "deploy"', 'user: "root"').replace(`"${password}"`, `"${password}-2"`));
    const preview = await quiet.preview();
    expect(preview).toMatch(/~ user *: "deploy" => "root"/);
    expect(preview).toMatch(/~ password: \[secret\] => \[secret\]/);
    expect(preview).not.toContain("pl4nted");
    await quiet.up();
    await quiet.destroy();
  });
});
