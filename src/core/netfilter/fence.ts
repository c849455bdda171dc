import { z } from "zod";
import { printableText } from "../values/names";
import { parsePrefix, type Prefix, prefixText } from "../values/prefix";
import { logPrefix } from "./kernel-log";
import type { Match } from "./matches";
import type { Chain, Rule, Verdict } from "./model";

/** What all fences have in common. */

/** What may pass all the same. */
export const exception = z.strictObject({
  cidr: prefixText,
  direction: z.enum(["to", "from"]),
  description: printableText(60).optional(),
});

/** The same exception twice would be two rules of one id. */
export function repeatedExceptions(
  exceptions: readonly { readonly cidr?: string | undefined; readonly set?: string | undefined; readonly direction: string }[],
): { property: string; reason: string }[] {
  const keys = exceptions.map(({ cidr, set, direction }) => `${direction} ${cidr ?? `the set ${set ?? ""}`}`);
  const firsts = new Map<string, number>();
  return keys.flatMap((key, index) => {
    const first = firsts.get(key);
    if (first !== undefined) return [{ property: `exceptions[${index}]`, reason: `is the same as exceptions[${first}]` }];
    firsts.set(key, index);
    return [];
  });
}

/** What no fence may stop, and how it is known. The number is the place of its rule. */
export interface Free {
  readonly number: string;
  readonly what: string;
  readonly matches: readonly Match[];
}

const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
};
const to = (text: string): Match => ({ is: "destination", prefixes: [prefix(text)] });
const from = (text: string): Match => ({ is: "source", prefixes: [prefix(text)] });

// Both are of one link alone: discovery is void with any hop limit but 255, which a router would have lowered (RFC 4861, 7.1), and what
// listeners say has 1, by which no router forwards it (RFC 2710, 3; RFC 3810, 5).
export const DISCOVERY = { is: "icmpv6", types: [133, 136], hopLimit: 255 } as const;
const LISTENERS = { is: "icmpv6", types: [131, 143], hopLimit: 1 } as const;
const LISTENING: Free = { number: "01", what: "listener reports", matches: [LISTENERS, to("ff00::/8")] };

/** What a link needs to work at all, on the way out. Frames of guests on a bridge are seen too, so that either end must be one that no router forwards to or from. */
export const LEAVES_FREELY: readonly Free[] = [
  LISTENING,
  { number: "01", what: "neighbour and router discovery", matches: [DISCOVERY, to("ff02::/16")] },
  { number: "01", what: "neighbour discovery to link-local addresses", matches: [DISCOVERY, to("fe80::/10")] },
  { number: "01", what: "neighbour discovery from link-local addresses", matches: [DISCOVERY, from("fe80::/10")] },
];

/** The host's own: whoever sends it here holds a port below 1024. */
export const OWN_DHCP: readonly Free[] = [
  { number: "02", what: "the host's own DHCP requests", matches: [{ is: "dhcp-request", version: 4 }, { is: "owned" }] },
  { number: "03", what: "the host's own DHCPv6 requests", matches: [{ is: "dhcp-request", version: 6 }, { is: "owned" }] },
];

/** Anybody's on this link, and no further: guests on a bridge have leases too. */
export const LINK_DHCP: readonly Free[] = [
  {
    number: "02",
    what: "DHCP requests to all on the link",
    matches: [to("255.255.255.255"), { is: "dhcp-request", version: 4 }],
  },
  { number: "05", what: "DHCPv6 requests to all on the link", matches: [to("ff02::1:2"), { is: "dhcp-request", version: 6 }] },
];

/** At the IP layer, where only the host's own packets still have a hop limit of 255. */
export const HOST_SENDS_FREELY: readonly Free[] = [
  LISTENING,
  { number: "01", what: "neighbour and router discovery", matches: [DISCOVERY] },
  ...OWN_DHCP,
];

/** The same on the way in, before anybody translates a destination. */
export const HOST_HEARS_FREELY: readonly Free[] = [
  { number: "01", what: "listener queries", matches: [{ ...LISTENERS, types: [130, 132] }, from("fe80::/10")] },
  { number: "01", what: "neighbour and router discovery", matches: [DISCOVERY] },
  { number: "02", what: "DHCP replies", matches: [{ is: "dhcp-reply", version: 4 }, { is: "to-this-host" }] },
  { number: "02", what: "DHCP replies to all on the link", matches: [{ is: "dhcp-reply", version: 4 }, to("255.255.255.255")] },
  { number: "03", what: "DHCPv6 replies", matches: [{ is: "dhcp-reply", version: 6 }, { is: "to-this-host" }] },
];

/** Where a leak goes. */
export function toLeak(object: string): Verdict {
  return { is: "goto", chain: `${object}.leak` };
}

/** What becomes of a leak: a line in the log, and the end of it unless this is a rehearsal. */
export function leakChain(object: string, mode: "drop" | "log"): Chain {
  const logged: Rule = { id: "90 log leaks", matches: [], verdict: { is: "log", prefix: logPrefix(object) } };
  const dropped: Rule = { id: "91 drop leaks", matches: [], verdict: { is: "drop" } };
  return { name: `${object}.leak`, rules: mode === "drop" ? [logged, dropped] : [logged] };
}
