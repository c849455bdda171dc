import { z } from "zod";
import { printableText } from "../values/names";
import { prefixText } from "../values/prefix";
import type { Chain, Match, Rule, Verdict } from "./model";

/** What all fences have in common. */

/** What may pass all the same. */
export const exception = z.strictObject({
  cidr: prefixText,
  direction: z.enum(["to", "from"]),
  description: printableText(60).optional(),
});

/** The same exception twice would be two rules of one id. */
export function repeatedExceptions(exceptions: readonly z.infer<typeof exception>[]): { property: string; reason: string }[] {
  const keys = exceptions.map(({ cidr, direction }) => `${direction} ${cidr}`);
  const firsts = new Map<string, number>();
  return keys.flatMap((key, index) => {
    const first = firsts.get(key);
    if (first !== undefined) return [{ property: `exceptions[${index}]`, reason: `is the same as exceptions[${first}]` }];
    firsts.set(key, index);
    return [];
  });
}

/** What a link needs to work at all, on the way out. */
export const LEAVES_FREELY: readonly { readonly number: string; readonly what: string; readonly match: Match }[] = [
  { number: "01", what: "listener reports, router solicitation", match: { is: "icmpv6", types: [131, 133] } },
  { number: "01", what: "neighbour discovery", match: { is: "icmpv6", types: [135, 136] } },
  { number: "01", what: "version 2 listener reports", match: { is: "icmpv6", types: [143, 143] } },
  { number: "02", what: "DHCP requests", match: { is: "dhcp-request", version: 4 } },
  { number: "03", what: "DHCPv6 requests", match: { is: "dhcp-request", version: 6 } },
];

/** The same on the way in. */
export const ARRIVES_FREELY: typeof LEAVES_FREELY = [
  { number: "01", what: "listener queries, neighbour and router discovery", match: { is: "icmpv6", types: [130, 136] } },
  { number: "02", what: "DHCP replies", match: { is: "dhcp-reply", version: 4 } },
  { number: "03", what: "DHCPv6 replies", match: { is: "dhcp-reply", version: 6 } },
];

/** Where a leak goes. */
export function toLeak(object: string): Verdict {
  return { is: "goto", chain: `${object}.leak` };
}

/** What becomes of a leak: a line in the log, and the end of it unless this is a rehearsal. */
export function leakChain(object: string, mode: "drop" | "log"): Chain {
  const logged: Rule = { id: "90 log leaks", matches: [], verdict: { is: "log", prefix: `drawbridge ${object}: ` } };
  const dropped: Rule = { id: "91 drop leaks", matches: [], verdict: { is: "drop" } };
  return { name: `${object}.leak`, rules: mode === "drop" ? [logged, dropped] : [logged] };
}
