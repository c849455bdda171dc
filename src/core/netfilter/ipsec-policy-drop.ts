import { z } from "zod";
import type { Awaited } from "../links/awaited";
import { interfaceName } from "../values/names";
import { expandNetworks, networkList } from "../values/networks";
import { parseAddress, parsePrefix, type Prefix } from "../values/prefix";
import { exception, HOST_HEARS_FREELY, HOST_SENDS_FREELY, leakChain, repeatedExceptions, toLeak } from "./fence";
import type { Match } from "./matches";
import type { Direction } from "./matches/spec";
import type { Attachment, Chain, FailClosedRule, Fragment, Rule } from "./model";

const endpoint = z
  .string()
  .refine((text) => parseAddress(text) !== undefined, "must be an address without a length, IPv4 or IPv6");

/** IpsecPolicyDrop's own arguments; see the class for their meaning. */
export const ipsecPolicyDrop = z.strictObject({
  networks: networkList,
  direction: z.enum(["both", "out", "in"]).default("both"),
  interface: interfaceName.optional(),
  exceptions: z.array(exception).default([]),
  reqid: z.number().int().min(1, "must be 1 to 4294967295").max(4294967295, "must be 1 to 4294967295").optional(),
  localEndpoint: endpoint.optional(),
  remoteEndpoint: endpoint.optional(),
  mode: z.enum(["drop", "log"]).default("drop"),
});
export type IpsecPolicyDropIntent = z.infer<typeof ipsecPolicyDrop>;

/** How each direction names the far end of a packet, and the exceptions for it. */
const FAR = {
  out: { hook: "postrouting", number: 1, free: HOST_SENDS_FREELY, side: "to", match: "destination" },
  in: { hook: "prerouting", number: 5, free: HOST_HEARS_FREELY, side: "from", match: "source" },
} as const;

/** For each direction: what must always pass, the exceptions, what the tunnel wraps; everything else of these networks is a leak. */
export function compileIpsecPolicyDrop(object: string, intent: IpsecPolicyDropIntent): Fragment[] {
  const directions: Direction[] = intent.direction === "both" ? ["out", "in"] : [intent.direction];
  const attachments = directions.map((direction): Attachment => ({
    to: FAR[direction].hook,
    ...(intent.interface === undefined ? {} : { key: intent.interface }),
    chain: `${object}.${direction}`,
  }));
  const networks = expandNetworks(intent.networks);
  const failClosed = directions.flatMap((direction) =>
    networks.map((network): FailClosedRule => ({
      hook: "forward",
      verdict: "drop",
      matches: [{ is: FAR[direction].match, prefixes: [network] }],
    })),
  );
  const chains = directions.map((direction) => chainOf(object, direction, intent, networks));
  return [{ layer: "ip", attachments, chains: [...chains, leakChain(object, intent.mode)], needs: ["xfrm"], failClosed }];
}

function chainOf(object: string, direction: Direction, intent: IpsecPolicyDropIntent, networks: readonly Prefix[]): Chain {
  const { number, free, side, match } = FAR[direction];
  const id = (offset: number, text: string) => `${number}${offset} ${direction} ${text}`;
  const pass = (offset: number, what: string, ...matches: Match[]): Rule => ({
    id: id(offset, `pass ${what}`),
    matches,
    verdict: { is: "return" },
  });
  const excepted = intent.exceptions.flatMap(({ cidr, direction: own, description }): Rule[] => {
    const parsed = parsePrefix(cidr);
    if (own !== side || typeof parsed === "string") return [];
    const note = description === undefined ? {} : { note: description };
    const decision = `except ${side} ${parsed.text}`;
    return [{ ...pass(6, `${side} ${parsed.text}`, { is: match, prefixes: [parsed] }), ...note, decision }];
  });
  const denied = networks.map((network): Rule => ({
    id: id(9, `deny ${side} ${network.text}`),
    matches: [{ is: match, prefixes: [network] }],
    counter: `${object}.${direction}.${network.text.replaceAll(":", "_")}`,
    verdict: toLeak(object),
    decision: `deny ${network.text}`,
  }));
  const rules = [
    pass(0, "what stays on the host", { is: "loopback", direction }),
    ...free.map(({ what, matches }) => pass(1, what, ...matches)),
    ...carriersOf(direction, intent).map(({ offset, what, matches }) => pass(offset, what, ...matches)),
    ...excepted,
    pass(8, "what the tunnel wraps", tunnelOf(direction, intent)),
    ...denied,
  ];
  return { name: `${object}.${direction}`, rules };
}

/**
 * What carries the tunnel itself. In transport mode, or where all traffic belongs in the tunnel, it goes to these networks too. Only
 * between the ends that are given; without them, from and to any address of this host.
 */
function carriersOf(
  direction: Direction,
  { localEndpoint, remoteEndpoint }: IpsecPolicyDropIntent,
): { offset: number; what: string; matches: Match[] }[] {
  const [local, remote] = [addressOf(localEndpoint), addressOf(remoteEndpoint)];
  const [near, far] = direction === "out" ? (["source", "destination"] as const) : (["destination", "source"] as const);
  const ends: Match[] = [
    local ? { is: near, prefixes: [local] } : { is: direction === "out" ? "from-this-host" : "to-this-host" },
    ...(remote ? [{ is: far, prefixes: [remote] } as const] : []),
  ];
  // A daemon's, not any user's who takes its port.
  const daemon: Match[] = direction === "out" ? [{ is: "owned", uid: 0 }] : [];
  // The kernel wraps in the name of whoever sent what is inside, so that only the far end tells it from others.
  const wrapped: Match[] = [...ends, { is: "key-exchange", direction, port: 4500 }, { is: "esp-in-udp" }];
  return [
    ...(["esp", "ah"] as const).map((protocol) => ({
      offset: 3,
      what: protocol.toUpperCase(),
      matches: [...ends, { is: "ipsec-protocol", protocol } as const],
    })),
    ...([500, 4500] as const).map((port) => ({
      offset: 4,
      what: `key exchange on ${port}`,
      matches: [...ends, { is: "key-exchange", direction, port } as const, ...daemon],
    })),
    ...(direction === "out" && remote ? [{ offset: 4, what: "ESP in UDP", matches: wrapped }] : []),
  ];
}

function tunnelOf(direction: Direction, { reqid, localEndpoint, remoteEndpoint }: IpsecPolicyDropIntent): Match {
  const [local, remote] = [localEndpoint, remoteEndpoint].map((text) => addressOf(text));
  return {
    is: "wrapped",
    direction,
    reqid,
    ...(direction === "out" ? { from: local, to: remote } : { from: remote, to: local }),
  };
}

function addressOf(text: string | undefined): Prefix | undefined {
  const parsed = text === undefined ? "" : parsePrefix(text);
  return typeof parsed === "string" ? undefined : parsed;
}

/** What no single argument can tell. */
export function reviewIpsecPolicyDrop(intent: IpsecPolicyDropIntent): { property: string; reason: string }[] {
  const [local, remote] = [addressOf(intent.localEndpoint), addressOf(intent.remoteEndpoint)];
  const mixed = local && remote && local.bits !== remote.bits;
  return [
    ...repeatedExceptions(intent.exceptions),
    ...(mixed ? [{ property: "remoteEndpoint", reason: "is of another IP version than localEndpoint; no tunnel has two" }] : []),
  ];
}

/** The interface that it is about, where it is about one. */
export const awaitedByIpsecPolicyDrop = ({ interface: name }: IpsecPolicyDropIntent): Awaited[] =>
  name === undefined ? [] : [{ property: "interface", what: "interface", name, until: "nothing is dropped" }];
