import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

const count = (text: string, part: string) => text.split(part).length - 1;
const FORGET = { DRAWBRIDGE_DELETE_UNREACHABLE: "1" };

describe("one dead host of many", () => {
  let alive: LabHost;
  let dead: LabHost;
  let stack: Stack;
  const fence = (host: LabHost, name: string, networks: string) =>
    `new drawbridge.LeakFence("${name}", { ${hostText(host).replace('"user":', '"perDialTimeout":1,"dialErrorLimit":1,"user":')}, uplink: "eth0", networks: ${networks} });`;
  const both = (networks: string) =>
    fence(alive, "alive", networks) + fence(dead, "dead", '["rfc1918"]') + fence(dead, "dead-too", '["ula"]');

  beforeAll(async () => {
    alive = await startHost();
    dead = await startHost();
    stack = await Stack.create(both('["rfc1918"]'));
  });
  afterAll(async () => {
    stack.dispose();
    await alive.down();
  });

  test("stops a run with refresh and names the ways out once; told to, the run goes on with the others", async () => {
    await stack.up();
    await dead.down();
    stack.program(both('["ula"]'));
    const stopped = await stack.run(["up", "--yes", "--skip-preview", "--refresh"]);
    expect(stopped.code).not.toBe(0);
    expect(stopped.text).toContain(`deploy@${dead.address}:22: connect:`);
    for (const way of ["DRAWBRIDGE_SKIP_UNREACHABLE=1", "DRAWBRIDGE_DELETE_UNREACHABLE=1", "--refresh=false"])
      expect([way, count(stopped.text, way)]).toEqual([way, 1]);

    const went = await stack.run(["up", "--yes", "--skip-preview", "--refresh"], { env: { DRAWBRIDGE_SKIP_UNREACHABLE: "1" } });
    expect(went.code).toBe(0);
    expect(went.text).toContain("not read, the state is kept as it was");
    expect((await alive.run("nft list table inet drawbridge")).stdout).toContain("fc00::/7 : ");

    const kept = await stack.run(["destroy", "--yes", "--skip-preview"]);
    expect(kept.code).not.toBe(0);
    expect(kept.text).toContain("DRAWBRIDGE_DELETE_UNREACHABLE=1");
    // As with `refresh: always`: the refresh must not stop it either.
    const forgotten = await stack.run(["destroy", "--yes", "--skip-preview", "--refresh"], { env: FORGET });
    expect(forgotten.text).toContain("forgotten, but not deleted on the host");
    expect(forgotten.code).toBe(0);
    expect(await stack.resources()).toEqual([]);
  });
});

describe("a host that answers and lets nobody in", () => {
  let host: LabHost;
  let stack: Stack;
  let home: string;
  const knownHosts = (key: string) => writeFileSync(join(home, ".ssh", "known_hosts"), `${host.address} ${key}\n`);
  const right = readFileSync(clientKeyPath, "utf8");
  const wrong = generateKeyPairSync("rsa", { modulusLength: 2048 })
    .privateKey.export({ type: "pkcs1", format: "pem" })
    .toString();

  beforeAll(async () => {
    host = await startHost();
    const connection = `{ host: "${host.address}", user: "deploy", dialErrorLimit: 1, perDialTimeout: 2 }`;
    const program = `new drawbridge.LeakFence("fence", { connection: ${connection}, become: true, privateKeyEnv: "TEST_KEY", uplink: "eth0", networks: ["ula"] });`;
    stack = await Stack.create(program, { env: { TEST_KEY: right, SSH_AUTH_SOCK: "" } });
    home = join(stack.folder, "home-of-keys");
    mkdirSync(join(home, ".ssh"), { recursive: true });
    knownHosts(host.hostKey);
    const { code, text } = await stack.run(["up", "--yes", "--skip-preview"], { env: { HOME: home } });
    expect([code, text]).toEqual([0, text]);
  });
  afterAll(async () => {
    stack.dispose();
    await host.down();
  });

  test.each([
    { story: "refuses the key", env: { TEST_KEY: wrong }, code: "authentication" },
    { story: "shows another host key", otherKey: true, code: "host-key" },
    { story: "refuses sudo", breaks: "mv /etc/sudoers.d/deploy /root/", mends: "mv /root/deploy /etc/sudoers.d/", code: "sudo" },
    {
      story: "hangs in sshd",
      breaks: "kill -STOP $(cat /run/sshd.pid)",
      mends: "kill -CONT $(cat /run/sshd.pid)",
      code: "unreachable",
    },
  ])("is never forgotten, whatever was set: it $story", async ({ env = {}, otherKey, breaks, mends, code }) => {
    if (otherKey) knownHosts("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEb0i0cPdyGb0a0uR2n5i5iJf1uYbyb5V8mQ0PV5QnJk");
    if (breaks !== undefined) await host.run(breaks);
    const settings = { HOME: home, ...FORGET, DRAWBRIDGE_SKIP_UNREACHABLE: "1", ...env };
    const read = await stack.run(["refresh", "--yes", "--skip-preview"], { env: settings });
    const deleted = await stack.run(["destroy", "--yes", "--skip-preview"], { env: settings });
    if (mends !== undefined) await host.run(mends);
    knownHosts(host.hostKey);

    expect([read.code, deleted.code]).not.toContain(0);
    expect(read.text).toContain(`[${code}]`);
    expect(read.text).toContain("--refresh=false contacts no host");
    expect(deleted.text).toContain(`[${code}]`);
    expect(deleted.text).toContain("The host is there, so nothing is forgotten");
    expect(await stack.resources()).toHaveLength(1);
  });

  test("and is emptied once it lets us in again", async () => {
    const { code } = await stack.run(["destroy", "--yes", "--skip-preview"], { env: { HOME: home, ...FORGET } });
    expect(code).toBe(0);
    expect((await host.run("nft list tables")).stdout).not.toContain("drawbridge");
  });
});
