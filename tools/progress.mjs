import { spawn } from "node:child_process";
import { constants } from "node:os";

const quietSeconds = 15;

/** An error whose message is all that the person at the terminal needs; it is shown without a stack. */
export class Advice extends Error {}

/** A command ended because of Ctrl-C. The terminal hands it to all processes, and this one may be the last to hear of it. */
export class Interrupted extends Advice {}

/**
 * Runs `work` and shows that it is still going: a line that counts the seconds on a terminal, a plain line now and then otherwise.
 * Answers what `work` answers.
 */
export async function during(message, work) {
  const begin = Date.now();
  const elapsed = () => `${Math.round((Date.now() - begin) / 1000)} s`;
  const terminal = process.stderr.isTTY === true;
  const show = () => process.stderr.write(terminal ? `\r\x1b[K${message} … ${elapsed()}` : `${message} … ${elapsed()}\n`);
  process.stderr.write(terminal ? `${message} …` : `${message} …\n`);
  const timer = setInterval(show, terminal ? 1000 : quietSeconds * 1000);
  const end = (word) => process.stderr.write(`${terminal ? "\r\x1b[K" : ""}${message}: ${word} after ${elapsed()}\n`);
  try {
    const answer = await work();
    end("done");
    return answer;
  } catch (error) {
    end("failed");
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Runs a command silently and answers its standard output; when it fails, the error carries the end of what it printed. */
export function quietly(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let stdout = "";
    let all = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
      all += chunk;
    });
    child.stderr.on("data", (chunk) => (all += chunk));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(stdout);
      const Failure = signal === "SIGINT" || code === 128 + constants.signals.SIGINT ? Interrupted : Advice;
      reject(new Failure(`${[command, ...args].join(" ")}\nended with ${signal ?? code}:\n${all.slice(-4000)}`));
    });
  });
}

/** Runs the main function of a tool: an `Advice` is printed as it is, anything else with its stack, and both end with exit code 1. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    console.error(error instanceof Advice ? error.message : error);
    process.exitCode = 1;
  }
}
