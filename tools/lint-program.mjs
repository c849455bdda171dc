// `node tools/lint-program.mjs` looks through the built host program for what would take silence for consent.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { faultsOf } from "./program-faults.mjs";

const faults = faultsOf(readFileSync(fileURLToPath(new URL("../dist/host/drawbridge-host", import.meta.url)), "utf8"));
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
