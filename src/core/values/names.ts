import { createHash } from "node:crypto";
import { z } from "zod";

/**
 * A network device's name as the kernel allows it (1 to 15 bytes, no blank, no slash), less the characters that are syntax in
 * nft, iproute2's aliases or a shell: letters, digits and `._-`, not beginning with `-`.
 */
export const interfaceName = z
  .string()
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/,
    "must be an interface name: 1 to 15 letters, digits, '.', '_' or '-', like \"eth0\"",
  )
  .refine((name) => !/^(\.{1,2}|all|default)$/.test(name), "is a name that the kernel gives to no interface");

/** A user or group by name, as adduser(8) and useradd(8) make them. Words that sudoers(5) reads otherwise are refused. */
export const accountName = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?$/,
    "must be a user or group name: up to 32 letters, digits, '.', '_' or '-'; ids like \"#1000\" are not taken",
  )
  .refine((name) => !/^[A-Z][A-Z0-9_]*$/.test(name), "is written in capitals only, which sudoers reads as ALL or as an alias")
  .refine((name) => !/^(Defaults|(User|Runas|Host|Cmnd|Cmd)_Alias)$/.test(name), "is a keyword of sudoers");

/** An absolute path without anything that a shell, sudoers, dpkg's patterns or a resolver of paths would read otherwise. */
export const absolutePath = z
  .string()
  .max(400, "must have at most 400 characters")
  .regex(/^\//, "must be an absolute path")
  .regex(/^[A-Za-z0-9/._+@%~-]*$/, "must consist of letters, digits and /._+@%~-")
  .refine((path) => !path.includes("//") && !/\/\.{1,2}(\/|$)/.test(path), 'must not contain "//", "/./" or "/../"');

/** One line of printable text without `"` and `\`, for a comment or a log on the host. */
export function printableText(maxLength: number) {
  return z
    .string()
    .min(1, "must not be empty")
    .max(maxLength, `must have at most ${maxLength} characters`)
    .regex(/^[\x20-\x7e]*$/, "must be one line of printable ASCII")
    .regex(/^[^"\\]*$/, 'must not contain " or \\');
}

/** Where a resource comes from; set by its class, frozen in its file names. */
export const origin = z.strictObject({ project: z.string(), stack: z.string(), name: z.string() });
export type Origin = z.infer<typeof origin>;

/**
 * The name an object has on the host: readable, deterministic, unique by a digest of project, stack, kind and name; at most
 * 64 characters of `[a-z0-9-]` and letters, digits and `_` of the resource's name. Never a `.`: sudo skips such files.
 */
export function objectName(kind: string, { project, stack, name }: Origin): string {
  const digest = createHash("sha256")
    .update(JSON.stringify([project, stack, kind, name]))
    .digest("hex")
    .slice(0, 8);
  const readable = name
    .replace(/[^A-Za-z0-9_]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 36);
  return `${kind.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase()}-${readable || "x"}-${digest}`;
}

/** The one of `names` that differs from `name` by one typing error: a character too many, missing or wrong, or two that changed places. */
export function similarName(name: string, names: readonly string[]): string | undefined {
  return names.find((other) => {
    let start = 0;
    while (start < name.length && name[start] === other[start]) start += 1;
    let end = 0;
    while (end < Math.min(name.length, other.length) - start && name.at(-1 - end) === other.at(-1 - end)) end += 1;
    const [mine, theirs] = [name.slice(start, name.length - end), other.slice(start, other.length - end)];
    const isSwapped = mine.length === 2 && theirs.length === 2 && mine[0] === theirs[1] && mine[1] === theirs[0];
    return mine !== theirs && (isSwapped || Math.max(mine.length, theirs.length) === 1);
  });
}
