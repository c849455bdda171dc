import { z } from "zod";
import type { Fragment } from "./model";
import { compileTraffic, describeTraffic, HOOKS, reviewTraffic, trafficShape } from "./traffic";

/** Where an allow may stand: behind all denies, and before the final drop. */
const ALLOW_PHASES = ["guest", "border", "host"] as const;

/** Allow's own arguments; see the class for their meaning. */
export const allow = z.strictObject({ hook: z.enum(HOOKS), phase: z.enum(ALLOW_PHASES).default("host"), ...trafficShape });
export type AllowIntent = z.infer<typeof allow>;

/** One chain in its phase; alone, without a default drop on the hook, nobody asks it. */
export function compileAllow(object: string, { hook, phase, ...traffic }: AllowIntent): Fragment[] {
  const what = describeTraffic(traffic);
  const { rules, sets, elements } = compileTraffic(
    traffic,
    { is: "accept" },
    { object, id: "allow", number: "20", decision: `allow ${what}` },
  );
  return [
    {
      layer: "ip",
      attachments: [{ to: `drop.${hook}`, key: phase, chain: object }],
      chains: [{ name: object, rules }],
      sets,
      elements,
      opens: true,
    },
  ];
}

/** What no single argument can tell. */
export const reviewAllow = (intent: AllowIntent) => reviewTraffic(intent.hook, intent);

/** Whether a file is the fragment of a DefaultDrop. */
export const isOfDefaultDrop = (path: string) => /-default-drop-[^/]*\.nft$/.test(path);
