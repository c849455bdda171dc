import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The host program as this package carries it. */
export interface HostProgram {
  readonly text: Buffer;
  readonly version: string;
  /** Hexadecimal SHA-256 that the program says of itself. */
  readonly digest: string;
}

let loaded: HostProgram | undefined;

/** Reads the program that the build has put beside this file's compiled form. */
export function hostProgram(): HostProgram {
  if (loaded) return loaded;
  // The same path from src/host and from dist/host.
  const text = readFileSync(join(__dirname, "..", "..", "dist", "host", "drawbridge-host"));
  const value = (name: string) => new RegExp(`^${name}=(\\S+)$`, "m").exec(text.toString("utf8"))?.[1] ?? "";
  loaded = { text, version: value("VERSION"), digest: value("DIGEST") };
  return loaded;
}
