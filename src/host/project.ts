import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/**
 * The folder of Pulumi.yaml, found upwards from the working directory, which may be that of `main:`. Relative paths in a
 * program mean this folder.
 */
export function projectFolder(from = process.cwd()): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "Pulumi.yaml")) || existsSync(join(folder, "Pulumi.yml"))) return folder;
    if (dirname(folder) === folder) return from;
  }
}

/** The user's home, where `~/` and OpenSSH's files are. */
export function homeFolder(): string {
  return process.env["HOME"] ?? homedir();
}
