import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
import { execute } from "../../tools/lab/process";
import { Stack } from "./stack";

describe("credentials that have changed, with a refresh in each run", () => {
  let host: LabHost;
  let stack: Stack;
  let home: string;
  const key = readFileSync(clientKeyPath, "utf8");
  const program = (credentials: string) =>
    `new drawbridge.SudoRule("who", { connection: { host: "${host.address}", user: "deploy", hostKey: "${host.hostKey}", ${credentials} }, become: true, users: ["myself"], commands: [{ path: "/usr/bin/id" }] });`;
  const up = (env: Record<string, string> = {}, ...more: string[]) =>
    stack.run(["up", "--yes", "--skip-preview", "--refresh", ...more], { env: { HOME: home, ...env } });

  beforeAll(async () => {
    host = await startHost();
    stack = await Stack.create(program("privateKey: process.env.OLD_KEY"), { env: { SSH_AUTH_SOCK: "" } });
    home = join(stack.folder, "somebody");
    mkdirSync(join(home, ".ssh"), { recursive: true });
    expect(await up({ OLD_KEY: key })).toMatchObject({ code: 0 });
    // The old key is taken off the host, and a new one is put there.
    await execute(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(stack.folder, "new-key")]);
    await host.run("cat >/home/deploy/.ssh/authorized_keys", { stdin: readFileSync(join(stack.folder, "new-key.pub"), "utf8") });
    stack.program(program("privateKey: process.env.NEW_KEY"));
  });
  afterAll(async () => {
    stack.dispose();
    await host.down();
  });
  const news = () => ({ NEW_KEY: readFileSync(join(stack.folder, "new-key"), "utf8") });

  test("where this machine has nothing else, the error names the one command that goes on", async () => {
    const { code, text } = await up(news());
    expect(code).not.toBe(0);
    expect(text).toContain("[authentication]");
    expect(text).toContain("`pulumi up --refresh=false` once goes on with them");
    // Nothing that does not belong here.
    expect(text).not.toContain("FIDO");
  });

  test.each([
    [
      "the usual key file",
      () => copyFileSync(join(stack.folder, "new-key"), join(home, ".ssh", "id_ed25519")),
      {},
      "~/.ssh/id_ed25519",
    ],
    ["a path in the environment", () => undefined, { DRAWBRIDGE_PRIVATE_KEY_PATH: "new-key" }, "new-key"],
  ])("%s is tried for the refresh, and said", async (_what, prepare, env, said) => {
    prepare();
    const { code, text } = await stack.run(["refresh", "--yes", "--skip-preview", "--diff"], {
      env: { HOME: home, ...news(), ...env },
    });
    rmSync(join(home, ".ssh", "id_ed25519"), { force: true });
    expect([code, text]).toEqual([0, text]);
    expect(text).toContain(`the credentials in the state are refused; ${said} was taken in their place`);
  });

  test("and the command goes on; after it the new ones are in the state", async () => {
    expect(
      await stack.run(["up", "--yes", "--skip-preview", "--refresh=false"], { env: { HOME: home, ...news() } }),
    ).toMatchObject({
      code: 0,
    });
    expect(await up(news())).toMatchObject({ code: 0, text: expect.stringContaining("2 unchanged") as unknown });
  });

  test("a change to the usual key file needs nothing at all", async () => {
    writeFileSync(join(home, ".ssh", "id_ed25519"), readFileSync(join(stack.folder, "new-key"), "utf8"));
    stack.program(program(""));
    expect(await up()).toMatchObject({ code: 0 });
    expect(await stack.run(["destroy", "--yes", "--skip-preview", "--refresh"], { env: { HOME: home } })).toMatchObject({
      code: 0,
    });
  });
});
