// `node tools/lint-program.mjs` looks through the host's program: as it is built, for what would take silence for consent; file by file,
// for variables that are nobody's.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { constantsOf, faultsOf, globalsOf } from "./program-faults.mjs";

/** Files in which some variables are handed over as globals. A file leaves this list, and none comes. */
const NOT_YET = [
  "00-head.sh",
  "10-lock.sh",
  "20-files.sh",
  "30-nft.sh",
  "33-others.sh",
  "50-transaction.sh",
  "52-change.sh",
  "53-outcome.sh",
  "54-preflight.sh",
  "60-snapshot.sh",
];

const read = (path) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8");
const folder = "../src/host/program/";
const constants = constantsOf(read(`${folder}00-head.sh`));
const faults = [
  ...faultsOf(read("../dist/host/drawbridge-host")).map((fault) => `dist/host/drawbridge-host: ${fault}`),
  ...readdirSync(fileURLToPath(new URL(folder, import.meta.url)))
    .filter((file) => file.endsWith(".sh") && !NOT_YET.includes(file))
    .flatMap((file) => globalsOf(read(folder + file), constants).map((fault) => `src/host/program/${file}: ${fault}`)),
];
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
