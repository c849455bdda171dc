import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
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
