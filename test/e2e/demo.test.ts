import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { repository } from "./stack";

const story = [process.execPath, "--import", "tsx", join("tools", "demo.ts")];
const mark = `DRAWBRIDGE_DEMO_TEST=${process.pid}`;

interface Demo {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  readonly text: () => string;
  readonly code: Promise<number | null>;
}

function start([command = "", ...args]: readonly string[]): Demo {
  const [name = "", value = ""] = mark.split("=");
  const env = { ...process.env, [name]: value, NO_COLOR: "1" };
  const child = spawn(command, args, { cwd: repository, detached: true, stdio: ["ignore", "pipe", "pipe"], env });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  return { child, text: () => text, code: new Promise((resolve) => child.on("close", resolve)) };
}

/** Processes that a demo of this test has started and that still run. */
function leftOver(): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      return environment.some((entry) => entry === mark || /^PULUMI_BACKEND_URL=.*\/demo-\d+$/.test(entry));
    } catch {
      return false; // Not a process, or ended meanwhile.
    }
  });
}

const folders = () => readdirSync(process.env["DRAWBRIDGE_LAB"] ?? "").filter((name) => name.startsWith("demo"));

test("the demo tells its story to the end", async () => {
  const demo = start(story);
  expect(`${await demo.code} ${demo.text()}`).toMatch(/^0 /);
  const text = demo.text();
  expect(text).toMatch(/inet 20 deny to 10\.0\.0\.0\/8 *: "ip daddr 10\.0\.0\.0\/8/);
  expect(text).toMatch(/refresh --yes[^]*- inet 20 deny to 10\.0\.0\.0\/8/);
  expect(text).toContain("The host is as it was.");
  expect(text).toContain("npm install pulumi-drawbridge @pulumi/pulumi");
  expect(leftOver()).toEqual([]);
  expect(folders()).toEqual([]);
});

test("Ctrl-C in the middle of an up ends the demo and all that it has started", async () => {
  const demo = start([process.execPath, join("tools", "in-lab.mjs"), ...story]);
  while (!demo.text().includes("$ pulumi up") && demo.child.exitCode === null) await new Promise((next) => setTimeout(next, 50));
  await new Promise((next) => setTimeout(next, 1500));
  if (demo.child.pid !== undefined) process.kill(-demo.child.pid, "SIGINT");
  expect(`${await demo.code} ${demo.text()}`).toMatch(/^130 /);
  expect(leftOver()).toEqual([]);
  expect(folders()).toEqual([]);
});

test("where the Pulumi CLI is missing and cannot be built, the vendor's line is shown before anything is changed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "drawbridge-bare-"));
  cpSync(join(repository, "tools"), join(folder, "tools"), { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(repository, file), join(folder, file));
  for (const empty of ["cache", "path", "home"]) mkdirSync(join(folder, empty));
  const everything = () => readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const before = everything();
  try {
    // The namespace hides the folder where Go's own archive is unpacked, too.
    const hide = '[ ! -d /usr/local/go ] || mount -t tmpfs tmpfs /usr/local/go; exec env -i "$@"';
    const bare = [`PATH=${folder}/path`, `HOME=${folder}/home`, `DRAWBRIDGE_CACHE=${folder}/cache`];
    const demo = start([
      "unshare",
      "--mount",
      "sh",
      "-c",
      hide,
      "sh",
      ...bare,
      process.execPath,
      join(folder, "tools", "demo.mjs"),
    ]);
    const code = await demo.code;
    expect(demo.text()).toContain("  curl -fsSL https://get.pulumi.com | sh\n");
    expect(demo.text()).not.toMatch(/apt-get|npm ci|building|Error/);
    expect(code).toBe(1);
    expect(everything()).toEqual(before);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a plain user who has sudo without a password can set it up and run it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "drawbridge-plain-"));
  chmodSync(folder, 0o755);
  const root = realpathSync(join(process.env["DRAWBRIDGE_LAB"] ?? "", "roots", "bookworm"));
  const places = [folder, repository, root, process.env["DRAWBRIDGE_PULUMI_BIN"] ?? "", dirname(process.execPath)];
  try {
    const setUp = ["unshare", "--mount", "--propagation", "private", "sh", join(__dirname, "plain-user.sh"), ...places];
    const demo = start([...setUp, "echo I am $(id -un); npm run demo"]);
    expect(`${await demo.code} ${demo.text()}`).toMatch(/^0 I am plain\n/);
    expect(demo.text()).toMatch(/preparing the root of the lab's Debian bookworm hosts: done/);
    expect(demo.text()).toContain("The host is as it was.");
    expect(leftOver()).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
    expect(readFileSync("/etc/passwd", "utf8")).not.toContain("plain:");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
