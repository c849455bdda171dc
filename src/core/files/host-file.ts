import { createHash } from "node:crypto";

/** The layout of what stands on a host. A newer package upgrades it, an older one refuses to touch it. */
export const LAYOUT = 1;

/** One file that a resource wants on its host. */
export interface HostFile {
  /** Absolute, below one of the folders that drawbridge-host knows. */
  readonly path: string;
  readonly text: string;
  /** Octal, four digits. Owner and group are always root. */
  readonly mode: "0644" | "0440";
}

/** Who a file belongs to, as its header says it. */
export interface FileHeader {
  /** Stack-wide name of the object; a create that meets it takes it over. */
  readonly object: string;
  /** Random id made at create; only its holder deletes. */
  readonly owner: string;
  /** For people: where the file comes from. */
  readonly from: string;
}

/** `# drawbridge 1` and what drawbridge-host and an administrator want to know, one fact a line. */
export function renderHeader({ object, owner, from }: FileHeader): string[] {
  return [
    `# drawbridge ${LAYOUT}`,
    `# object ${object}`,
    `# owner ${owner}`,
    `# from ${from}`,
    "# Written by pulumi-drawbridge; the next `pulumi up` puts back what is edited here.",
  ];
}

/** Hexadecimal SHA-256 of a text's UTF-8 bytes. */
export function digest(text: string | Buffer): string {
  return createHash("sha256").update(text).digest("hex");
}
