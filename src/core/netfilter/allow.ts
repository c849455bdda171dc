import { z } from "zod";
import type { HostFacts } from "../files/snapshot";
import type { Fragment, Passage } from "./model";
import { outliving } from "./outliving";
import { begun, describeTraffic, expiredOf, openingShape, placeShape, reviewOpening, reviewPlace, slotIn } from "./traffic";
import { compileTraffic, needsOf, passableWays, phaseOf } from "./traffic-rules";

/** Where an allow may stand: behind all denies, and before the final drop. */
const ALLOW_PHASES = ["guest", "border", "host"] as const;

/** Allow's own arguments; see the class for their meaning. */
export const allow = z.strictObject({ ...placeShape, phase: z.enum(ALLOW_PHASES).default("host"), ...openingShape });
export type AllowIntent = z.infer<typeof allow>;

/**
 * Where addresses and ports are all that it is about, elements of maps that it shares with others: they are found by their hash, however many there are. Else one chain in its phase.
 * Alone, without a default drop on the hook, nobody asks either.
 */
export function compileAllow(object: string, { hook, bridge, phase, ...traffic }: AllowIntent): Fragment[] {
  const naming = { object, hook, id: "allow", number: "20", decision: `allow ${describeTraffic(traffic)}` };
  const { layer, to } = slotIn({ hook, bridge });
  const ways = bridge === undefined ? passableWays(traffic, naming) : undefined;
  if (ways) {
    const passages = ways.map(({ matches, counter, ...named }): Passage => ({ ...named, to, key: phase, matches, counter }));
    return [{ layer, attachments: [], chains: [], passages, opens: true }];
  }
  const { rules, sets, elements, accounts } = compileTraffic(traffic, { is: "accept" }, naming);
  return [
    {
      layer,
      attachments: [{ to, key: phaseOf(traffic, phase), chain: object }],
      chains: [{ name: object, rules }],
      sets,
      elements,
      accounts,
      needs: needsOf(rules, bridge),
      opens: true,
    },
  ];
}

/** What no single argument can tell. */
export const reviewAllow = (intent: AllowIntent) => [
  ...reviewPlace(intent),
  ...reviewOpening(intent, intent),
  ...(intent.running === "cut" && intent.phase !== "host"
    ? [
        {
          property: "phase",
          reason: 'cannot be said with `running: "cut"`, which is asked behind all other allows; leave it out',
        },
      ]
    : []),
];

/** What check adds to the arguments, by what it added before. */
export const completeAllow = (known: Partial<AllowIntent>, kept: unknown, now: Date) => begun(known, [kept], now);

export const expiredAllow = (intent: AllowIntent, now: Date, facts?: HostFacts) =>
  expiredOf([{ at: "", until: intent.until, outliving: () => facts && outliving(intent.hook, intent, facts) }], now);

/** The interfaces that it names and lets forwarded packets come in or go out by. */
export const forwardsOfAllow = ({ hook, in: came, out: goes }: AllowIntent): string[] =>
  hook === "forward" ? [came, goes].filter((name) => name !== undefined) : [];

/** Whether a file is the fragment of a DefaultDrop. */
export const isOfDefaultDrop = (path: string) => /-default-drop-[^/]*\.nft$/.test(path);
