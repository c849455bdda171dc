// Builds dist/: tsc, then the host's program out of its parts.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", `${root}tsconfig.json`], { stdio: "inherit" });
const { hostProgram } = await import("./host-program.mjs");
mkdirSync(`${root}dist/host`, { recursive: true });
writeFileSync(`${root}dist/host/drawbridge-host`, hostProgram(), { mode: 0o755 });
