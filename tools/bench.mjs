// `npm run bench`: brings in what is missing, then measures on throw-away hosts what the package costs (tools/bench.ts).
// `--json` prints data instead of a table, `--only PATTERN` measures some. Whatever is said on the way goes to stderr.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { during, main, quietly } from "./progress.mjs";
import {
  checkPulumiPossible,
  ensureAnsible,
  ensureLabRoot,
  ensureNpmPackages,
  ensurePulumi,
  ensureSystemPackages,
} from "./setup.mjs";

const project = dirname(dirname(fileURLToPath(import.meta.url)));

await main(async () => {
  await checkPulumiPossible();
  await ensureSystemPackages({ python: true });
  await ensureNpmPackages();
  await during("compiling the package", () => quietly("npm", ["run", "--silent", "build"], { cwd: project }));
  const env = {
    ...process.env,
    DRAWBRIDGE_PULUMI_BIN: await ensurePulumi(),
    DRAWBRIDGE_ANSIBLE_PYTHON: await ensureAnsible(),
  };
  for (const root of ["bookworm", "bookworm-python"]) await ensureLabRoot(root);
  const script = [join("tools", "in-lab.mjs"), process.execPath, "--import", "tsx", join("tools", "bench.ts")];
  process.exitCode = await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...script, ...process.argv.slice(2)], { cwd: project, stdio: "inherit", env });
    process.on("SIGINT", () => undefined);
    for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
});
