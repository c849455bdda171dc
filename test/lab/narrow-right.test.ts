import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hostProgram } from "../../dist/host/program";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven } from "./drive";

const page = readFileSync(join(__dirname, "..", "..", "docs", "host.md"), "utf8");
/** The console lines that docs/host.md shows, with a user of the lab in them. */
const consoleLines = (/^```sh\n(install [^]*?)^```$/m.exec(page)?.[1] ?? "").replaceAll("deploy", "plain");
const args = (on: LabHost, own = {}) => ({
  ...accessOf(on, "plain"),
  users: ["myself"],
  commands: [{ path: "/usr/bin/id" }],
  ...own,
});

let host: LabHost;
beforeEach(async () => {
  host = await startHost();
});
afterEach(async () => {
  closeConnections();
  await host.down();
});

const install = (program: string) =>
  host.run("cat >/root/drawbridge-host", { stdin: program }).then(() => host.run(`cd /root && ${consoleLines}`));

test("a user whose only right is drawbridge-host, which the console's two lines have installed, can do all of it", async () => {
  expect(consoleLines.trim().split("\n")).toHaveLength(2);
  await install(hostProgram().text.toString("utf8"));
  const before = await host.fingerprint();
  const resources = await Promise.all([
    Driven.create("SudoRule", "right", args(host)),
    Driven.create("LeakFence", "fence", { ...accessOf(host, "plain"), uplink: "eth0", networks: ["rfc1918"] }),
    Driven.create("Bridge", "bridge", { ...accessOf(host, "plain"), name: "br7" }),
  ]);
  expect(await Promise.all(resources.map((resource) => resource.refresh()))).toEqual([{}, {}, {}]);
  // The control: he may do nothing else.
  const sudo = await host.run("sudo -n -l; sudo -n id", { user: "plain", allowFailure: true });
  expect(sudo.stdout).toMatch(/\(root\) NOPASSWD: \/usr\/local\/sbin\/drawbridge-host\n$/);
  expect(sudo.code).not.toBe(0);
  await resources[0].up(args(host, { commands: [{ path: "/usr/bin/who" }] }));
  await Promise.all(resources.map((resource) => resource.delete()));
  // What was put there by hand stays.
  expect(await host.fingerprint()).toBe(before);
});

test("a later version takes an earlier one's place by that right alone", async () => {
  const program = hostProgram().text.toString("utf8");
  await install(program.replace(/^VERSION=.*$/m, "VERSION=0.0.9").replace(/^DIGEST=.*$/m, `DIGEST=${"0".repeat(64)}`));
  const right = await Driven.create("SudoRule", "right", args(host));
  expect((await host.run("cat /usr/local/sbin/drawbridge-host")).stdout).toBe(program);
  await right.delete();
});

test("without the program that right is too little, and the error says what to do", async () => {
  await install(hostProgram().text.toString("utf8"));
  await host.run("rm /usr/local/sbin/drawbridge-host");
  await expect(Driven.create("SudoRule", "right", args(host))).rejects.toMatchObject({
    failure: { code: "sudo", wayOut: expect.stringContaining("npx drawbridge program") as unknown },
  });
});
