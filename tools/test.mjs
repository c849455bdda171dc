// `node tools/test.mjs [unit|lab|all-drills|soak|vm|all-vm|e2e] [-- JEST ARGUMENTS…]` runs one part of the tests, or the lint and all parts when none is named; of
// the drills and of the tests on an emulated machine a sample, which all-drills and all-vm make whole.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Advice, main } from "./progress.mjs";
import {
  checkPulumiPossible,
  ensureLabRoot,
  ensureNode,
  ensureNpmPackages,
  ensurePulumi,
  ensureSystemPackages,
  ensureVmImage,
} from "./setup.mjs";

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const inLab = [process.execPath, join("tools", "in-lab.mjs")];

const parts = {
  unit: { setUp: setUpUnit, jest: [process.execPath] },
  // In one run with more workers than cores, so that drills, which wait for deadlines, leave the processor to the others.
  lab: { setUp: setUpLab, jest: [...inLab, process.execPath], projects: ["lab", "drills"], workers: 5 },
  "all-drills": {
    setUp: async () => ({ ...(await setUpLab()), DRAWBRIDGE_DRILLS: "all" }),
    jest: [...inLab, process.execPath],
    projects: ["drills"],
    onlyWhenNamed: true,
    workers: 4,
  },
  // Random lives of a host: as many minutes as DRAWBRIDGE_SOAK_MINUTES says; DRAWBRIDGE_SEED and DRAWBRIDGE_PATH live one again.
  soak: {
    setUp: async () => ({ DRAWBRIDGE_SOAK_MINUTES: "10", ...process.env, ...(await setUpLab()) }),
    jest: [...inLab, process.execPath],
    projects: ["drills"],
    only: ["--testPathPatterns", "drills/life"],
    onlyWhenNamed: true,
  },
  // Most reboots of an emulated machine take too long for every run; one is in networkd.
  vm: {
    setUp: setUpVm,
    jest: [...inLab, process.execPath],
    only: ["--testPathIgnorePatterns", "vm/(reboot|move-addresses|dhcp)"],
  },
  "all-vm": { setUp: setUpVm, jest: [...inLab, process.execPath], projects: ["vm"], onlyWhenNamed: true },
  e2e: { setUp: setUpEndToEnd, jest: [...inLab, process.execPath] },
};

await main(async () => {
  const separator = process.argv.indexOf("--");
  const words = process.argv.slice(2, separator < 0 ? undefined : separator);
  const jestArguments = separator < 0 ? [] : process.argv.slice(separator + 1);
  const [chosen] = words;
  if (words.length > 1 || (chosen !== undefined && !(chosen in parts))) {
    throw new Advice("usage: node tools/test.mjs [unit|lab|all-drills|soak|vm|all-vm|e2e] [-- JEST ARGUMENTS…]");
  }
  // What cannot succeed is said before the first minute is spent.
  if (chosen === undefined || chosen === "e2e") await checkPulumiPossible();
  await ensureNpmPackages();
  await timed("build", () => run(["npm", "run", "--silent", "build"]));
  if (chosen === undefined) {
    await ensureSystemPackages({ awks: true, vm: true });
    await timed("lint", () => run(["npm", "run", "--silent", "lint"]));
  }
  const unnamed = Object.keys(parts).filter((name) => !parts[name].onlyWhenNamed);
  for (const name of chosen === undefined ? unnamed : [chosen]) {
    const { setUp, jest, projects = [name], only = [], workers = 2 } = parts[name];
    const environment = await setUp();
    const command = [
      ...jest,
      join("node_modules", "jest", "bin", "jest.js"),
      "--selectProjects",
      ...projects,
      "--maxWorkers",
      String(workers),
      ...only,
      ...jestArguments,
    ];
    await timed(`${name} tests`, () => run(command, environment));
  }
  if (chosen === undefined) {
    // The oldest that package.json allows, and the next line.
    for (const version of ["20.19.0", "22"]) {
      const command = [await ensureNode(version), join("node_modules", "jest", "bin", "jest.js"), "--selectProjects", "unit"];
      await timed(`unit tests on Node ${version}`, () => run(command));
    }
  }
});

async function setUpUnit() {
  await ensureSystemPackages({ awks: true });
  return {};
}

async function setUpLab() {
  await ensureSystemPackages();
  for (const suite of ["bookworm", "trixie"]) await ensureLabRoot(suite);
  return {};
}

async function setUpVm() {
  await ensureSystemPackages({ vm: true });
  for (const suite of ["bookworm", "trixie"]) await ensureVmImage(suite);
  return {};
}

async function setUpEndToEnd() {
  await setUpLab();
  return { DRAWBRIDGE_PULUMI_BIN: await ensurePulumi(), DRAWBRIDGE_NODE22: await ensureNode("22") };
}

async function timed(what, work) {
  console.error(`\n== ${what}`);
  const begin = Date.now();
  const end = (word) => console.error(`== ${what}: ${word} after ${((Date.now() - begin) / 1000).toFixed(1)} s`);
  try {
    await work();
    end("passed");
  } catch (error) {
    end("FAILED");
    throw error;
  }
}

function run([command, ...args], environment = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: project, stdio: "inherit", env: { ...process.env, ...environment } });
    for (const signal of ["SIGTERM", "SIGHUP"]) process.once(signal, () => child.kill(signal));
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Advice(`${[command, ...args].join(" ")} ended with ${signal ?? code}`));
    });
  });
}
