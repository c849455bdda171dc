import { z } from "zod";
import { absolutePath, accountName } from "../values/names";
import { digest, type FileHeader, type HostFile, renderHeader } from "./host-file";
import { renderSetting, type Setting } from "./settings";

const OURS = /^\/(etc\/drawbridge|etc\/sudoers\.d|var\/lib\/drawbridge|run\/drawbridge|usr\/local\/sbin\/drawbridge-host)(\/|$)/;

/** GuardedFile's own arguments; see the class for their meaning. */
export const guardedFile = z.strictObject({
  path: absolutePath
    .refine((path) => !path.endsWith("/"), "is a folder")
    .refine((path) => path.split("/").every((part) => part.length <= 200), "has a part of more than 200 characters")
    .refine((path) => !OURS.test(path), "is Drawbridge's own, or a place of SudoRule"),
  owner: accountName.optional(),
  group: accountName.optional(),
  mode: z
    .string()
    .regex(/^[0-7]{4}$/, 'must be four octal digits, like "0750"')
    .optional(),
  content: z
    .string()
    .max(65536, "must have at most 65536 characters")
    .refine((text) => !text.includes("\0"), "must not contain NUL")
    .refine((text) => !/\p{Surrogate}/u.test(text), "is no well-formed Unicode")
    .optional(),
  dropSetuid: z.boolean().optional(),
});
export type GuardedFileIntent = z.infer<typeof guardedFile>;

export function reviewGuardedFile({
  owner,
  group,
  mode,
  content,
  dropSetuid,
}: GuardedFileIntent): { property: string; reason: string }[] {
  if (owner === undefined && group === undefined && mode === undefined && content === undefined)
    return [{ property: "mode", reason: "say at least one of owner, group, mode and content" }];
  if (mode === undefined && content !== undefined)
    return [{ property: "mode", reason: 'is needed with `content`: a program that all may run has "0755"' }];
  if (mode === undefined && dropSetuid === true)
    return [{ property: "dropSetuid", reason: "is about `mode`, which is not there" }];
  return [];
}

/**
 * What the file holds, in the order in which it is set: a change of owner or group takes setuid bits away, so the mode comes later. An
 * access control list would let others in beside them.
 */
export function compileGuardedFile({ path: subject, owner, group, mode, content }: GuardedFileIntent): Setting[] {
  const setting = (id: string, attribute: string, value: string | undefined): Setting[] =>
    value === undefined ? [] : [{ id: `${id} ${attribute}`, kind: "file", subject, attribute, value }];
  const isGuarded = owner !== undefined || group !== undefined || mode !== undefined;
  return [
    ...setting("01", "content", content === undefined ? undefined : digest(content)),
    ...setting("10", "owner", owner),
    ...setting("11", "group", group),
    ...setting("12", "mode", mode),
    ...setting("13", "acl", isGuarded ? "none" : undefined),
    ...setting("20", "override", isGuarded ? `${owner ?? "-"}:${group ?? "-"}:${mode ?? "-"}` : undefined),
  ];
}

const pathOf = (object: string) => `/etc/drawbridge/files/50-${object}`;
export const guardedFilePaths = (object: string) => [pathOf(object)];

/** With a content the file is root's alone, for what it describes may be so too. */
export function renderGuardedFile(header: FileHeader, intent: GuardedFileIntent): HostFile[] {
  const { content, dropSetuid } = intent;
  const lines = [
    ...renderHeader(header),
    ...(dropSetuid === true ? ["# drops setuid"] : []),
    ...compileGuardedFile(intent).map(renderSetting),
    ...contentLines(content ?? ""),
  ];
  const mode = content === undefined ? "0644" : "0440";
  return [{ path: pathOf(header.object), text: `${lines.join("\n")}\n`, mode }];
}

/** Each line behind "|", so that none can be read as anything else; a last one that does not end stands behind "\". */
function contentLines(content: string): string[] {
  const lines = content.split("\n");
  const rest = lines.pop() ?? "";
  return [...lines.map((line) => `|${line}`), ...(rest === "" ? [] : [`\\${rest}`])];
}
