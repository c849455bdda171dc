import { spawn } from "node:child_process";

/** What a command printed, and how it ended. */
export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a script on a lab host. */
export interface RunOptions {
  readonly stdin?: string | Buffer;
  /** whom to run as, with the real login's groups, HOME and PATH; root unless given */
  readonly user?: string;
  /** do not throw on a non-zero exit */
  readonly allowFailure?: boolean;
  /** 60 unless given */
  readonly timeoutSeconds?: number;
}

const defaultTimeoutSeconds = 60;
const rootEnvironment = [
  "HOME=/root",
  "USER=root",
  "LOGNAME=root",
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
];

/** Makes of a command one that runs where it is meant to: in a host's namespaces, on a machine. */
export type Enter = (command: readonly string[]) => readonly string[];

/** Runs a /bin/sh script where `enter` leads to. */
export async function runScript(enter: Enter, script: string, options: RunOptions = {}): Promise<RunResult> {
  const seconds = options.timeoutSeconds ?? defaultTimeoutSeconds;
  const shell =
    options.user === undefined ? ["/bin/sh", "-c", script] : ["/bin/su", "-l", options.user, "-s", "/bin/sh", "-c", script];
  // The limit is kept inside: killing the program that entered the namespaces would leave the script running.
  const limited = ["/usr/bin/timeout", "--kill-after=2", String(seconds), ...shell];
  const command = enter(["/usr/bin/env", "-i", ...rootEnvironment, ...limited]);
  const result = await execute(command, options.stdin, seconds + 5);
  if (result.code !== 0 && options.allowFailure !== true) {
    throw new Error(
      `${describe(script)}\nended with ${result.code}${result.code === 124 ? ` (time out)` : ""}:\n${result.stdout}${result.stderr}`,
    );
  }
  return result;
}

/** Runs a command to its end. */
export function execute(
  command: readonly string[],
  stdin: string | Buffer = "",
  timeoutSeconds = defaultTimeoutSeconds,
): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const [program = "", ...args] = command;
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      child.stdout.destroy();
      child.stderr.destroy();
      reject(
        new Error(
          `${describe(command.join(" "))}\ndid not end, or left something behind that holds its output, for ${timeoutSeconds} s`,
        ),
      );
    }, timeoutSeconds * 1000);
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    // A command may end without having read its input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString("utf8");
      resolve({
        code: code ?? 128,
        stdout: text(stdout),
        stderr: text(stderr) + (signal === null ? "" : `ended by ${signal}\n`),
      });
    });
  });
}

/** `execute`, but anything except success is an error. */
export async function executeOrThrow(command: readonly string[], stdin?: string): Promise<RunResult> {
  const result = await execute(command, stdin);
  if (result.code !== 0)
    throw new Error(`${describe(command.join(" "))}\n${stdin ?? ""}\nended with ${result.code}:\n${result.stderr}`);
  return result;
}

/** Waits until `probe` answers something, asking every few milliseconds. */
export async function until<Answer>(
  what: string,
  probe: () => Answer | undefined,
  options: { readonly seconds?: number; readonly details?: () => string } = {},
): Promise<Answer> {
  const end = Date.now() + (options.seconds ?? 30) * 1000;
  for (;;) {
    const answer = probe();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}\n${options.details?.() ?? ""}`);
    await new Promise((resume) => setTimeout(resume, 3));
  }
}

function describe(command: string): string {
  return command.length > 2000 ? `${command.slice(0, 2000)}…` : command;
}
