import { z } from "zod";
import type { Fragment, Passage } from "./model";
import { begun, describeTraffic, expiredOf, HOOKS, openingShape, reviewOpening } from "./traffic";
import { compileTraffic, needsOf, passableWays } from "./traffic-rules";

/** Where an allow may stand: behind all denies, and before the final drop. */
const ALLOW_PHASES = ["guest", "border", "host"] as const;

/** Allow's own arguments; see the class for their meaning. */
export const allow = z.strictObject({ hook: z.enum(HOOKS), phase: z.enum(ALLOW_PHASES).default("host"), ...openingShape });
export type AllowIntent = z.infer<typeof allow>;

/**
 * Where addresses and ports are all that it is about, elements of maps that it shares with others: they are found by their hash, however many there are. Else one chain in its phase.
 * Alone, without a default drop on the hook, nobody asks either.
 */
export function compileAllow(object: string, { hook, phase, ...traffic }: AllowIntent): Fragment[] {
  const naming = { object, id: "allow", number: "20", decision: `allow ${describeTraffic(traffic)}` };
  const to = `drop.${hook}` as const;
  const ways = passableWays(traffic, naming);
  if (ways) {
    const passages = ways.map(({ matches, counter, ...named }): Passage => ({ ...named, to, key: phase, matches, counter }));
    return [{ layer: "ip", attachments: [], chains: [], passages, opens: true }];
  }
  const { rules, sets, elements, accounts } = compileTraffic(traffic, { is: "accept" }, naming);
  return [
    {
      layer: "ip",
      attachments: [{ to, key: phase, chain: object }],
      chains: [{ name: object, rules }],
      sets,
      elements,
      accounts,
      needs: needsOf(rules),
      opens: true,
    },
  ];
}

/** What no single argument can tell. */
export const reviewAllow = (intent: AllowIntent) => reviewOpening(intent.hook, intent);

/** What check adds to the arguments, by what it added before. */
export const completeAllow = (known: Partial<AllowIntent>, kept: unknown, now: Date) => begun(known, [kept], now);

export const expiredAllow = ({ until }: AllowIntent, now: Date) => expiredOf([{ at: "", until }], now);

/** Whether a file is the fragment of a DefaultDrop. */
export const isOfDefaultDrop = (path: string) => /-default-drop-[^/]*\.nft$/.test(path);
