import { createHash } from "node:crypto";
import * as programs from "../../dist/host/program";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven } from "./drive";

const own = programs.hostProgram();
let host: LabHost;
beforeEach(async () => {
  host = await startHost();
});
afterEach(async () => {
  jest.restoreAllMocks();
  closeConnections();
  await host.down();
});

/** The program of another version of the package. */
function programOf(version: string, layout = 1): programs.HostProgram {
  const digest = createHash("sha256").update(`${version} ${layout}`).digest("hex");
  const text = own.text
    .toString("utf8")
    .replace(/^VERSION=.*$/m, `VERSION=${version}`)
    .replace(/^LAYOUT=.*$/m, `LAYOUT=${layout}`)
    .replace(/^DIGEST=.*$/m, `DIGEST=${digest}`);
  return { text: Buffer.from(text), version, digest };
}

const install = (text: Buffer) =>
  host.run("cat >/usr/local/sbin/drawbridge-host && chmod 755 /usr/local/sbin/drawbridge-host", { stdin: text.toString("utf8") });

const create = () =>
  Driven.create("SudoRule", "right", { ...accessOf(host), users: ["myself"], commands: [{ path: "/usr/bin/id" }] });

test.each([
  ["an earlier version's program goes", "0.0.9", "1.0.0", "1.0.0"],
  ["a later version's stays, and does it", "1.10.0", "1.9.0", "1.10.0"],
  ["a pre-release comes before its release", "1.0.0-beta.2", "1.0.0", "1.0.0"],
  ["a release stays beside its pre-release", "1.0.0", "1.0.0-beta.2", "1.0.0"],
  ["of one version that is not the same, ours is put there", "1.0.0", "1.0.0", "1.0.0"],
])("%s", async (_story, there, ours, stands) => {
  const theirs = programOf(there);
  await install(
    there === ours ? Buffer.from(theirs.text.toString("utf8").replace(/^DIGEST=.*$/m, `DIGEST=${"0".repeat(64)}`)) : theirs.text,
  );
  jest.spyOn(programs, "hostProgram").mockReturnValue(programOf(ours));
  const right = await create();
  expect(await right.refresh()).toEqual({});
  expect((await host.run("cat /usr/local/sbin/drawbridge-host")).stdout).toBe(programOf(stands).text.toString("utf8"));
  await right.delete();
});

test("a later program brings its own units, so that those of the one before it are no drift; what somebody changes of them is", async () => {
  const earlier = programOf("0.0.9");
  const text = earlier.text.toString("utf8").replace("Description=Load the rules of Drawbridge", "Description=Load them");
  expect(text).not.toBe(earlier.text.toString("utf8"));
  const mock = jest.spyOn(programs, "hostProgram").mockReturnValue({ ...earlier, text: Buffer.from(text) });
  const fence = await Driven.create("LeakFence", "fence", { ...accessOf(host), uplink: "eth0", networks: ["rfc1918"] });
  expect((await host.run("cat /etc/systemd/system/drawbridge.service")).stdout).toContain("Description=Load them");
  mock.mockReturnValue(programOf("1.0.0"));
  closeConnections();
  expect(await fence.refresh()).toEqual({});
  expect((await host.run("cat /etc/systemd/system/drawbridge.service")).stdout).toContain("Description=Load the rules");
  for (const path of ["/etc/systemd/system/drawbridge.service", "/usr/local/share/man/man8/drawbridge-host.8"]) {
    await host.run(`echo tampered >>${path}`);
    closeConnections();
    expect(await fence.refresh()).toMatchObject({ [`damaged: ${path}`]: {} });
  }
  await fence.delete();
});

test("a later layout is refused before anything is done, and the error says which version to take", async () => {
  await install(programOf("2.0.0", 2).text);
  const before = await host.fingerprint();
  await expect(create()).rejects.toMatchObject({
    failure: { code: "layout", wayOut: "Upgrade here: npm install pulumi-drawbridge@^2.0.0" },
  });
  expect(await host.fingerprint()).toBe(before);
});

test("beside the program, only what of ours was cut on its way is taken away, and nothing of anybody else's", async () => {
  const theirs = [
    "drawbridge-host.backup",
    ".drawbridge-host.old",
    "old/drawbridge-host.backup",
    "old/.drawbridge-host.0123456789",
  ];
  await host.run(`mkdir -p /usr/local/sbin/old && cd /usr/local/sbin
    for name in ${theirs.join(" ")} .drawbridge-host.0123456789; do echo mine >$name; touch -d '2 hours ago' $name; done`);
  const right = await create();
  await right.delete();
  expect((await host.run("cd /usr/local/sbin && find . -name '*drawbridge-host*' | sort")).stdout.trim().split("\n")).toEqual(
    theirs.map((name) => `./${name}`).sort(),
  );
});

test("a program that was cut on its way is not put in the place of the one that stands", async () => {
  await install(own.text);
  for (const length of [1_000, own.text.length - 4]) {
    const stdin = own.text.subarray(0, length).toString("utf8");
    expect((await host.run("drawbridge-host upgrade '' '' 1", { stdin, allowFailure: true })).code).not.toBe(0);
  }
  expect((await host.run("cat /usr/local/sbin/drawbridge-host")).stdout).toBe(own.text.toString("utf8"));
  // The control: a whole one is.
  const later = programOf("9.0.0").text.toString("utf8");
  expect((await host.run("drawbridge-host upgrade '' '' 1", { stdin: later })).stdout).toMatch(/\nupgraded\n$/);
  expect(
    (await host.run("cat /usr/local/sbin/drawbridge-host; ls -A /usr/local/sbin | grep -c '^.drawbridge'; true")).stdout,
  ).toBe(`${later}0\n`);
});
