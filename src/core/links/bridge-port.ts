import { z } from "zod";
import type { HostSurvey } from "../files/snapshot";
import { interfaceName } from "../values/names";
import type { Awaited } from "./awaited";
import { refusePort } from "./port";
import type { LinkAttribute } from "./attributes";
import type { LinkSetting } from "./settings";

const vid = z
  .number()
  .int("must be a whole number")
  .min(1, "must be at least 1; VLAN 0 is a priority tag")
  .max(4094, "must be at most 4094");

/** BridgePort's own arguments; see the class for their meaning. */
export const bridgePort = z.strictObject({
  bridge: interfaceName,
  interface: interfaceName,
  isolated: z.boolean().optional(),
  learning: z.boolean().optional(),
  flood: z.boolean().optional(),
  hairpin: z.boolean().optional(),
  bpduGuard: z.boolean().optional(),
  cost: z.number().int("must be a whole number").min(1, "must be at least 1").max(65535, "must be at most 65535").optional(),
  priority: z.number().int("must be a whole number").min(0, "must be at least 0").max(63, "must be at most 63").optional(),
  pvid: vid.optional(),
  vids: z.array(vid).optional(),
  waitSeconds: z.number().int("must be whole seconds").min(0, "must be at least 0").max(3600, "must be at most 3600").default(0),
});
export type BridgePortIntent = z.infer<typeof bridgePort>;

export function reviewBridgePort({
  bridge,
  interface: device,
  pvid,
  vids,
}: BridgePortIntent): { property: string; reason: string }[] {
  return [
    ...(bridge === device ? [{ property: "interface", reason: "is the bridge itself" }] : []),
    ...(vids ?? []).flatMap((id, index) =>
      id === pvid || vids?.indexOf(id) !== index ? [{ property: `vids[${index}]`, reason: `${id} is there twice` }] : [],
    ),
  ];
}

/** What the port holds: its place in the bridge first, for the rest exists in a bridge only. */
export function compileBridgePort(intent: BridgePortIntent): LinkSetting[] {
  const subject = intent.interface;
  const setting = (id: string, attribute: LinkAttribute, value: string | number | boolean | undefined): LinkSetting[] => {
    if (value === undefined) return [];
    const text = typeof value === "boolean" ? (value ? "1" : "0") : String(value);
    return [{ id: `${id} ${attribute}`, kind: "link", subject, attribute, value: text }];
  };
  return [
    ...setting("01", "master", intent.bridge),
    ...setting("10", "isolated", intent.isolated),
    ...setting("11", "learning", intent.learning),
    ...setting("12", "unicast_flood", intent.flood),
    ...setting("13", "hairpin_mode", intent.hairpin),
    ...setting("14", "bpdu_guard", intent.bpduGuard),
    ...setting("15", "path_cost", intent.cost),
    ...setting("16", "port_priority", intent.priority),
    ...setting("17", "vlans", vlansOf(intent)),
    // What it may do is set before it does anything.
    ...setting("20", "up", true),
  ];
}

// As `bridge vlan show` lists them: by number, the untagged one with its flags.
function vlansOf({ pvid, vids }: BridgePortIntent): string | undefined {
  if (pvid === undefined && vids === undefined) return undefined;
  const all = [
    ...(pvid === undefined ? [] : [{ id: pvid, flags: ":pvid:untagged" }]),
    ...(vids ?? []).map((id) => ({ id, flags: "" })),
  ];
  const list = all.sort((a, b) => a.id - b.id).map(({ id, flags }) => `${id}${flags}`);
  return list.join(",") || "none";
}

export const bridgePortPaths = (object: string) => [`/etc/drawbridge/links/50-${object}`];

export function refuseBridgePort(intent: BridgePortIntent, { facts }: HostSurvey): { property: string; reason: string }[] {
  return refusePort("interface", intent.interface, intent.bridge, facts);
}

export const awaitedByPort = ({ interface: device, bridge, waitSeconds: seconds }: BridgePortIntent): Awaited[] => [
  { property: "interface", what: "interface", name: device, until: `${bridge} goes without it`, seconds },
  { property: "bridge", what: "bridge", name: bridge, until: `${device} is no port`, seconds },
];
