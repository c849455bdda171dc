// Builds dist/: tsc, then the host program out of its parts.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", `${root}tsconfig.json`], { stdio: "inherit" });

const parts = `${root}src/host/program/`;
const source = readdirSync(parts)
  .filter((name) => name.endsWith(".sh"))
  .sort()
  .map((name) => readFileSync(parts + name, "utf8"))
  .join("\n");
const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
const digest = createHash("sha256").update(version).update(source).digest("hex");
mkdirSync(`${root}dist/host`, { recursive: true });
const program = source.replace("@VERSION@", version).replace("@DIGEST@", digest);
writeFileSync(`${root}dist/host/drawbridge-host`, program, { mode: 0o755 });
