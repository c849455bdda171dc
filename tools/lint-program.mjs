// `node tools/lint-program.mjs` looks through the host's program: as it is built, for what would take silence for consent and for functions
// that are not there; file by file, for variables that are nobody's and functions that are too long.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { constantsOf, faultsOf, globalsOf, longOf, undefinedOf } from "./program-faults.mjs";

const read = (path) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8");
const folder = "../src/host/program/";
const constants = constantsOf(read(`${folder}00-head.sh`));
const program = read("../dist/host/drawbridge-host");
const faults = [
  ...[...faultsOf(program), ...undefinedOf(program)].map((fault) => `dist/host/drawbridge-host: ${fault}`),
  ...readdirSync(fileURLToPath(new URL(folder, import.meta.url)))
    .filter((file) => file.endsWith(".sh"))
    .flatMap((file) =>
      [...globalsOf(read(folder + file), constants), ...longOf(read(folder + file))].map(
        (fault) => `src/host/program/${file}: ${fault}`,
      ),
    ),
];
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
