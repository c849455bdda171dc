import { z } from "zod";
import type { HostSurvey } from "../files/snapshot";
import { judge } from "./judge";
import { logPrefix } from "./kernel-log";
import type { FailClosedRule, Fragment } from "./model";
import { FORCE, sshInUse } from "./ssh-in-use";
import { describeTraffic, expiredOf, placeShape, reviewPlace, reviewTraffic, slotIn, trafficShape, whatIsSaid } from "./traffic";
import { compileTraffic, literalTraffic, needsOf, needsOfDrop } from "./traffic-rules";

/** Deny's own arguments; see the class for their meaning. */
export const deny = z.strictObject({
  ...placeShape,
  mode: z.enum(["drop", "log"]).default("drop"),
  force: z.boolean().default(false),
  ...trafficShape,
});
export type DenyIntent = z.infer<typeof deny>;

/** One chain in the phase that comes before all others: what is already open is cut as well. */
export function compileDeny(object: string, { hook, bridge, mode, force, ...traffic }: DenyIntent): Fragment[] {
  const { layer, to } = slotIn({ hook, bridge });
  const isRehearsal = mode === "log";
  const { rules, sets, elements } = compileTraffic(
    { ...traffic, log: traffic.log && !isRehearsal },
    isRehearsal ? { is: "log", prefix: logPrefix(object) } : { is: "drop" },
    { object, hook, id: "deny", number: "20", decision: `deny ${describeTraffic(traffic)}` },
  );
  const failClosed = isRehearsal
    ? []
    : literalTraffic(traffic).map((matches): FailClosedRule => ({ hook, verdict: "drop", matches }));
  return [
    {
      layer,
      attachments: [{ to, key: "deny", chain: object }],
      chains: [{ name: object, rules }],
      sets,
      elements,
      needs: [...needsOf(rules, bridge), ...needsOfDrop(bridge, force || isRehearsal)],
      failClosed,
    },
  ];
}

/** What no single argument can tell. */
export function reviewDeny(intent: DenyIntent): { property: string; reason: string }[] {
  const reason = "must be given, or another property that says what is denied; otherwise nothing would pass this hook";
  return [
    ...reviewPlace(intent),
    ...reviewTraffic(intent, intent),
    ...(whatIsSaid(intent) !== undefined ? [] : [{ property: "from", reason }]),
  ];
}

export const expiredDeny = ({ until }: DenyIntent, now: Date) => expiredOf([{ at: "", until }], now);

/**
 * Why it would cut off whoever applies it. Who is in a set of somebody else's is not known here. One that ends is taken for one that does not: if it has ended,
 * a clock that is set back would bring it back.
 */
export function refuseDeny(intent: DenyIntent, { facts }: HostSurvey): { property: string; reason: string }[] {
  // What a bridge hands from port to port is not for this host.
  const ssh = intent.bridge === undefined ? sshInUse(intent.hook, facts) : undefined;
  if (intent.force || !ssh) return [];
  const { verdict, rule } = judge(
    [{ object: "deny", fragments: compileDeny("deny", { ...intent, until: undefined }) }],
    ssh.packet,
    "unknown",
  );
  if (verdict !== "drop" || !rule) return [];
  const property = whatIsSaid(intent) ?? "hook";
  const reason = `the rule "${rule.id}" would drop this SSH connection, which comes from ${ssh.peer}; narrow it, or ${FORCE}`;
  return [{ property, reason }];
}
