import { z } from "zod";
import type { FailClosedRule, Fragment } from "./model";
import { compileTraffic, describeTraffic, HOOKS, literalTraffic, reviewTraffic, trafficShape } from "./traffic";

/** Deny's own arguments; see the class for their meaning. */
export const deny = z.strictObject({ hook: z.enum(HOOKS), mode: z.enum(["drop", "log"]).default("drop"), ...trafficShape });
export type DenyIntent = z.infer<typeof deny>;

/** One chain in the phase that comes before all others: what is already open is cut as well. */
export function compileDeny(object: string, { hook, mode, ...traffic }: DenyIntent): Fragment[] {
  const isRehearsal = mode === "log";
  const { rules, sets, elements } = compileTraffic(
    { ...traffic, log: traffic.log && !isRehearsal },
    isRehearsal ? { is: "log", prefix: `drawbridge ${object}: ` } : { is: "drop" },
    { object, id: "deny", number: "20", decision: `deny ${describeTraffic(traffic)}` },
  );
  const failClosed = isRehearsal
    ? []
    : literalTraffic(traffic).map((matches): FailClosedRule => ({ hook, verdict: "drop", matches }));
  return [
    {
      layer: "ip",
      attachments: [{ to: `drop.${hook}`, key: "deny", chain: object }],
      chains: [{ name: object, rules }],
      sets,
      elements,
      failClosed,
    },
  ];
}

/** What no single argument can tell. */
export function reviewDeny(intent: DenyIntent): { property: string; reason: string }[] {
  const { hook, protocol, service, from, to } = intent;
  const says = [protocol, service, from, to, intent.in, intent.out].some((one) => one !== undefined);
  const reason = "must be given, or another property that says what is denied; otherwise nothing would pass this hook";
  return [...reviewTraffic(hook, intent), ...(says ? [] : [{ property: "from", reason }])];
}
