import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

const rule = (host: LabHost, args = "-u") =>
  `new drawbridge.SudoRule("who", { ${hostText(host)}, users: ["myself"], runAsUser: "mybro", nopasswd: true, commands: [{ path: "/usr/bin/id", args: ["${args}"] }] });`;

const FILE = "/etc/sudoers.d/drawbridge-sudo-rule-who-*";

describe("a SudoRule by the real CLI", () => {
  let host: LabHost;
  let stack: Stack;
  let before: string;
  const runs = async (command: string) =>
    (await host.run(`sudo -n -u mybro ${command}`, { user: "myself", allowFailure: true })).stdout.trim();

  beforeAll(async () => {
    host = await startHost();
    before = await host.fingerprint();
    stack = await Stack.create(rule(host));
  });
  afterAll(async () => {
    stack.dispose();
    await host.down();
  });

  test("from preview to destroy", async () => {
    expect(await stack.preview()).toMatch(
      /50 allow 001 \/usr\/bin\/id *: "myself ALL=\(mybro\) NOPASSWD: EXEC: NOSETENV: \/usr\/bin\/id -u"/,
    );
    expect(await host.fingerprint()).toBe(before);
    expect(await stack.up()).toContain("+ 2 created");
    const mybro = (await host.run("id -u mybro")).stdout.trim();
    expect(await runs("/usr/bin/id -u")).toBe(mybro);
    expect(await runs("/usr/bin/id -g")).toBe("");
    expect(await stack.up()).toContain("2 unchanged");
    expect(await stack.refresh()).toContain("2 unchanged");

    stack.program(rule(host, "-g"));
    expect(await stack.preview()).toMatch(/~ 50 allow 001 \/usr\/bin\/id *: "myself .* -u" => "myself .* -g"/);
    expect(await stack.up()).toContain("~ 1 updated");
    expect(await runs("/usr/bin/id -u")).toBe("");
    expect(await runs("/usr/bin/id -g")).not.toBe("");
    stack.program(rule(host));
    await stack.up();
    expect(await stack.destroy()).toContain("- 2 deleted");
    expect(await host.fingerprint()).toBe(before);
  });

  test("its file deleted: refresh says so without making it, up makes it anew", async () => {
    await stack.up();
    await host.run(`rm ${FILE}`);
    const drift = await stack.run(["preview", "--refresh", "--diff", "--expect-no-changes"]);
    expect(drift.code).not.toBe(0);
    for (const refresh of [await stack.refresh(), await stack.refresh()]) expect(refresh).not.toContain("created");
    expect(await stack.resources()).toEqual([]);
    expect(await runs("/usr/bin/id -u")).toBe("");
    expect(await stack.up()).toContain("+ 1 created");
    expect(await runs("/usr/bin/id -u")).not.toBe("");
    expect(await stack.refresh()).toContain("2 unchanged");
  });
});
