import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { repository } from "./stack";

const mark = `DRAWBRIDGE_DEMO_TEST=${process.pid}`;

export interface Demo {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  readonly text: () => string;
  readonly code: Promise<number | null>;
  /** Waits until it has printed the text, or ended. */
  readonly saying: (text: string) => Promise<void>;
  /** Ctrl-C: what a terminal sends, to every process that it has started. */
  readonly interrupt: () => void;
}

/** Starts a command in a process group of its own. */
export function startDemo([command = "", ...args]: readonly string[], cwd = repository): Demo {
  const [name = "", value = ""] = mark.split("=");
  const env = { ...process.env, [name]: value, NO_COLOR: "1" };
  const child = spawn(command, args, { cwd, detached: true, stdio: ["ignore", "pipe", "pipe"], env });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  return {
    child,
    text: () => text,
    code: new Promise((resolve) => child.on("close", resolve)),
    saying: (wanted) => until(() => text.includes(wanted) || child.exitCode !== null),
    interrupt: () => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
    },
  };
}

/** Waits until the fact holds; the test's own time limit bounds it. */
export async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await new Promise((next) => setTimeout(next, 50));
}

/** The command lines of what a demo of this test has started and what still runs. */
export function leftOver(): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      const isOurs = environment.some((entry) => entry === mark || /^PULUMI_BACKEND_URL=.*\/demo-\d+$/.test(entry));
      return isOurs ? [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim()] : [];
    } catch {
      return []; // Not a process, or ended meanwhile.
    }
  });
}
