// `npm run demo`: brings in what is missing, then shows on a throw-away host what the package does (tools/demo.ts).
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, cacheFolder } from "./cache.mjs";
import { during, Interrupted, main, quietly } from "./progress.mjs";
import {
  checkPulumiPossible,
  ensureLabRoot,
  ensureNpmPackages,
  ensurePulumi,
  ensureSystemPackages,
  rootPrefix,
} from "./setup.mjs";

const project = dirname(dirname(fileURLToPath(import.meta.url)));
let interrupted = false;
// The terminal hands Ctrl-C to the commands that run, too; this process waits for them to end and then cleans up.
process.on("SIGINT", () => (interrupted = true));

await main(async () => {
  try {
    // What cannot succeed is said before anything is changed.
    await checkPulumiPossible();
    const pulumi = await setUp();
    if (!interrupted) process.exitCode = await tellStory(pulumi);
  } catch (error) {
    interrupted ||= error instanceof Interrupted;
    if (!interrupted) throw error;
  } finally {
    await removeDrafts();
  }
  if (!interrupted) return;
  console.error("\nStopped; nothing is left running.");
  process.exitCode = 128 + constants.signals.SIGINT;
});

/** Answers the folder of the Pulumi CLI. Each step says what it brings in and why; on later runs there is nothing to say. */
async function setUp() {
  let pulumi = "";
  const steps = [
    ensureSystemPackages,
    ensureNpmPackages,
    () => during("compiling the package", () => quietly("npm", ["run", "--silent", "build"], { cwd: project })),
    async () => (pulumi = await ensurePulumi()),
    () => ensureLabRoot("bookworm"),
  ];
  for (const step of steps) if (!interrupted) await step();
  return pulumi;
}

function tellStory(pulumi) {
  const command = [join("tools", "in-lab.mjs"), process.execPath, "--import", "tsx", join("tools", "demo.ts")];
  const env = { ...process.env, DRAWBRIDGE_PULUMI_BIN: pulumi };
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, command, { cwd: project, stdio: "inherit", env });
    for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

/** A step of the set-up that was interrupted leaves a draft, which carries this process's number at its end. */
async function removeDrafts() {
  const drafts = [cacheFolder(), cached("lab")].flatMap((folder) =>
    names(folder).flatMap((name) => (name.endsWith(`.${process.pid}`) ? [join(folder, name)] : [])),
  );
  if (drafts.length === 0) return;
  const [command, ...args] = [...(await rootPrefix(`rm -rf ${drafts.join(" ")}`)), "rm", "-rf", ...drafts];
  await quietly(command, args);
}

function names(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
