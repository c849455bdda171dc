import { spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { leftOver, startDemo, until } from "./demo";
import { repository } from "./stack";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drawbridge-set-up-"));
  chmodSync(folder, 0o755);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Set-up needs the registries, and the lab itself has no way out. */
const outside = ["nsenter", `--net=${process.env["DRAWBRIDGE_LAB_OUTER_NET"]}`];

/** A checkout in which nobody has run anything yet. */
function copyCheckout(): void {
  const derived = new Set(["node_modules", "dist", ".git"]);
  cpSync(repository, folder, { recursive: true, filter: (path) => !derived.has(basename(path)) });
}

test("where the Pulumi CLI is missing and cannot be built, the vendor's line is shown before anything is changed", async () => {
  cpSync(join(repository, "tools"), join(folder, "tools"), { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(repository, file), join(folder, file));
  for (const empty of ["cache", "path", "home"]) mkdirSync(join(folder, empty));
  const everything = () => readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const before = everything();
  // The namespace hides the folder where Go's own archive is unpacked, too.
  const hide = '[ ! -d /usr/local/go ] || mount -t tmpfs tmpfs /usr/local/go; exec env -i "$@"';
  const bare = [`PATH=${folder}/path`, `HOME=${folder}/home`, `DRAWBRIDGE_CACHE=${folder}/cache`];
  const set = ["unshare", "--mount", "sh", "-c", hide, "sh", ...bare, process.execPath, join(folder, "tools", "demo.mjs")];
  const demo = startDemo(set);
  const code = await demo.code;
  expect(demo.text()).toContain("  curl -fsSL https://get.pulumi.com | sh\n");
  expect(demo.text()).not.toMatch(/apt-get|npm ci|building|Error/);
  expect(code).toBe(1);
  expect(everything()).toEqual(before);
});

test("a plain user who has sudo without a password can set it up and run it", async () => {
  const root = realpathSync(join(process.env["DRAWBRIDGE_LAB"] ?? "", "roots", "bookworm"));
  const places = [folder, repository, root, process.env["DRAWBRIDGE_PULUMI_BIN"] ?? "", dirname(process.execPath)];
  const setUp = ["unshare", "--mount", "--propagation", "private", "sh", join(__dirname, "plain-user.sh"), ...places];
  const demo = startDemo([...setUp, "echo I am $(id -un); npm run demo"]);
  expect(`${await demo.code} ${demo.text()}`).toMatch(/^0 I am plain\n/);
  expect(demo.text()).toMatch(/preparing the root of the lab's Debian bookworm hosts: done/);
  expect(demo.text()).toContain("The host is as it was.");
  expect(leftOver()).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
  expect(readFileSync("/etc/passwd", "utf8")).not.toContain("plain:");
});

test("Ctrl-C in the middle of npm ci leaves nothing running, and the next run does it again", async () => {
  copyCheckout();
  const start = () => startDemo([...outside, process.execPath, join("tools", "demo.mjs")], folder);
  const first = start();
  await first.saying("running npm ci");
  await until(() => existsSync(join(folder, "node_modules")) || first.child.exitCode !== null);
  first.interrupt();
  expect(`${await first.code} ${first.text()}`).toMatch(/^130 [^]*Stopped; nothing is left running/);
  expect(leftOver()).toEqual([]);

  const second = start();
  await second.saying("compiling the package …");
  second.interrupt();
  expect(`${await second.code} ${second.text()}`).toMatch(/^130 [^]*running npm ci: done/);
  expect(leftOver()).toEqual([]);
});

test.each(["update", "install"])(
  "Ctrl-C in the middle of apt-get %s leaves nothing running, and the next run brings the package in",
  async (step) => {
    const namespace = [
      "unshare",
      "--mount",
      "--propagation",
      "private",
      "sh",
      join(__dirname, "lacks-package.sh"),
      folder,
      "shellcheck",
    ];
    const [command = "", ...args] = namespace;
    const machine = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    const ended = new Promise((resolve) => machine.on("close", resolve));
    try {
      const answer = await new Promise((resolve) => machine.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString())));
      expect(answer).toBe("ready\n");
      const enter = [...outside, `--mount=/proc/${machine.pid}/ns/mnt`, `--wd=${repository}`];
      const start = () => startDemo([...enter, process.execPath, join("tools", "demo.mjs")]);
      const first = start();
      await until(() => leftOver().some((line) => line.startsWith(`apt-get ${step}`)) || first.child.exitCode !== null);
      first.interrupt();
      expect(`${await first.code} ${first.text()}`).toMatch(
        /^130 [^]*shellcheck; installing by apt-get[^]*Stopped; nothing is left running/,
      );
      expect(leftOver()).toEqual([]);

      const second = start();
      await second.saying("installing by apt-get: ");
      second.interrupt();
      expect(`${await second.code} ${second.text()}`).toMatch(/^130 [^]*shellcheck; installing by apt-get: done/);
      expect(leftOver()).toEqual([]);
    } finally {
      machine.stdin.end();
      await ended;
    }
  },
);
