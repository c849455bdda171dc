import { z } from "zod";
import type { Drift } from "../files/drift";
import { compareHeld, describeHeld, explainHeld, type Held, renderHeld } from "../files/held";
import { type FileHeader, type HostFile, renderHeader } from "../files/host-file";
import type { HostSnapshot } from "../files/snapshot";
import { accountName } from "../values/names";

/** SystemGroup's own arguments; see the class for their meaning. */
export const systemGroup = z.strictObject({
  name: accountName.refine((name) => name !== "root", "is the administrator's own group"),
  gid: z
    .number()
    .int("must be a whole number")
    .min(1, "must be at least 1; 0 is root's")
    .max(65533, "must be at most 65533; what follows is nobody's, or no number of a group")
    .optional(),
  members: z.array(accountName).default([]),
  exclusive: z.boolean().optional(),
});
export type SystemGroupIntent = z.infer<typeof systemGroup>;

export function reviewSystemGroup({ members }: SystemGroupIntent): { property: string; reason: string }[] {
  return members.flatMap((name, index) =>
    members.indexOf(name) === index ? [] : [{ property: `members[${index}]`, reason: `${name} is there twice` }],
  );
}

function compile({ name: subject, gid, members, exclusive }: SystemGroupIntent): Held[] {
  const held = (id: string, word: string, value: string): Held => ({ id, kind: "group", subject, word, value });
  return [
    held("01 is", "is", "group"),
    ...(gid === undefined ? [] : [held("02 gid", "gid", String(gid))]),
    ...members.map((member) => held(`10 member ${member}`, `member:${member}`, "yes")),
    // Last, so that whoever is named is a member already.
    ...(exclusive === true ? [held("20 others", "others", "none")] : []),
  ];
}

export const describeSystemGroup = (intent: SystemGroupIntent) => describeHeld(compile(intent));
export const explainSystemGroup = (intent: SystemGroupIntent) => explainHeld(compile(intent));

export const systemGroupPath = (object: string) => `/etc/drawbridge/groups/50-${object}`;

export function renderSystemGroup(header: FileHeader, intent: SystemGroupIntent): HostFile {
  const lines = [...renderHeader(header), ...compile(intent).map(renderHeld)];
  return { path: systemGroupPath(header.object), text: `${lines.join("\n")}\n`, mode: "0644" };
}

export function compareSystemGroup(intent: SystemGroupIntent, { facts }: HostSnapshot): Drift {
  return compareHeld(compile(intent), facts);
}
