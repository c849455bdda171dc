import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

let host: LabHost;
let stack: Stack;
const make = (kind: string, name: string, own: string) => `new drawbridge.${kind}("${name}", { ${hostText(host)}, ${own} });`;
/** A fence whose uplink may be known only after a while, as that of one which takes another resource's output. */
const program = (...networks: string[]) =>
  [
    make("UserOutputChain", "alice", `user: "alice", allow: [{ to: "192.0.2.1", ports: [443] }]`),
    make("OutputGuard", "guard", "ports: [443]"),
    make("SystemGroup", "team", `name: "team", members: ["alice"]`),
    make("GuardedFile", "tool", `path: "/usr/local/bin/tool", mode: "0750", content: "#!/bin/sh\\n"`),
    `const late = new Promise((resolve) => setTimeout(() => resolve("eth0"), Number(process.env.LATE_MS ?? 0)));`,
    make("LeakFence", "fence", `uplink: pulumi.output(late), networks: ${JSON.stringify(networks)}`),
  ].join("\n");
const run = (args: readonly string[], env = {}) => stack.run([...args, "--yes", "--skip-preview"], { env });
const tables = async () => (await host.run("nft list ruleset")).stdout;
/** What the CLI says of one resource at the end. */
const saidOf = (text: string, name: string) =>
  (text.split("Diagnostics:")[1] ?? "").split(/^ {2}(?=\S)/m).find((block) => block.includes(`(${name})`)) ?? "";

beforeAll(async () => {
  host = await startHost();
  await host.run("useradd alice");
  stack = await Stack.create(program("ula"));
  await stack.up();
});
afterAll(async () => {
  stack.dispose();
  await host.down();
});

test("a resource that fails does not keep away the repair of another one that the engine has not begun", async () => {
  await host.run("nft flush ruleset; gpasswd -d alice team; userdel alice; chmod 0755 /usr/local/bin/tool");
  const { code, text } = await run(["up", "--refresh"], { LATE_MS: "60000" });
  expect(code).not.toBe(0);
  expect(saidOf(text, "alice")).toContain("there is no user alice on this host");
  expect(await tables()).toContain("fc00::/7 : ");
  expect(saidOf(text, "fence")).toMatch(/put back as it was last applied, since \w+ \S+ has failed/);

  await host.run("useradd alice");
  const repaired = await run(["up", "--refresh"]);
  expect([repaired.code, repaired.text]).toEqual([0, repaired.text]);
  expect((await run(["refresh"])).text).toContain("6 unchanged");
});

test("refresh names each drifted resource in a line that makes sense alone, and a table that is gone in one line", async () => {
  await host.run("nft flush ruleset; gpasswd -d alice team; chmod 0755 /usr/local/bin/tool");
  const { code, text } = await run(["refresh"]);
  expect(code).toBe(0);
  expect(text).not.toContain("still active");
  expect(saidOf(text, "fence")).toMatch(
    /warning: LeakFence fence differs from what was last applied, \d+ lines less: - nothing of it is loaded \(\d+ lines\)\n +the files are as last applied: a reboot would repair the kernel\n/,
  );
  for (const name of ["guard", "alice"]) expect(saidOf(text, name)).toContain("less: - nothing of it is loaded");
  expect(saidOf(text, "team")).toContain(
    "warning: SystemGroup team differs from what was last applied, 1 line changed: - 10 member alice: group team member:alice yes",
  );
  expect(saidOf(text, "tool")).toContain(
    "warning: GuardedFile tool differs from what was last applied, 1 line changed: - 12 mode",
  );
});

test("an up that repairs it says so in the end", async () => {
  const { code, text } = await run(["up", "--refresh"]);
  expect([code, text]).toEqual([0, text]);
  for (const name of ["fence", "guard", "team", "tool"])
    expect(saidOf(text, name)).toMatch(/repaired: what differed stands on the host as the program says again\s*(Resources:|$)/);
  expect((await run(["refresh"])).text).not.toContain("differs");
});

test("a plain preview says with each resource what will change on the host, and a table that is gone in one line", async () => {
  await host.run("nft flush ruleset");
  stack.program(program("ula").replace(/, ports: \[443\] }\);/, ", ports: [443, 445] });"));
  const before = await stack.expect("preview");
  expect(saidOf(before, "guard")).toMatch(/lines? more: \+ guard tcp 445/);
  expect(saidOf(before, "tool")).toBe("");
  const text = await stack.expect("preview", "--refresh");
  expect(saidOf(text, "fence")).toMatch(/\n +\d+ lines more: nothing of it is loaded\n/);
  expect(await tables()).not.toContain("drawbridge");
});
