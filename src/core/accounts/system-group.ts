import { z } from "zod";
import type { Setting } from "../files/settings";
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

export function compileSystemGroup({ name: subject, gid, members, exclusive }: SystemGroupIntent): Setting[] {
  const setting = (id: string, attribute: string, value: string): Setting => ({ id, kind: "group", subject, attribute, value });
  return [
    setting("01 is", "is", "group"),
    ...(gid === undefined ? [] : [setting("02 gid", "gid", String(gid))]),
    ...members.map((member) => setting(`10 member ${member}`, `member:${member}`, "yes")),
    // Last, so that whoever is named is a member already.
    ...(exclusive === true ? [setting("20 others", "others", "none")] : []),
  ];
}

export const systemGroupPaths = (object: string) => [`/etc/drawbridge/groups/50-${object}`];
