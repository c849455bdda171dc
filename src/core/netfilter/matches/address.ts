import { contains, formatPrefix, type Prefix, type Version, versionOf } from "../../values/prefix";
import type { Packet } from "../packet";
import type { Answer } from "./answer";
import type { MatchSpec, Side } from "./spec";

/** To or from one of the prefixes, which are of one IP version. */
export interface AddressMatch {
  readonly is: Side;
  readonly prefixes: readonly Prefix[];
  /** behind one 802.1Q tag */
  readonly tagged?: boolean;
}

export const address: MatchSpec<AddressMatch> = {
  text: ({ is, prefixes, tagged }) => `${tagged ? behindTag(versionOfAll(prefixes)) : ""}${renderAddress(is, prefixes)}`,
  words: ({ is, prefixes, tagged }) => `${wordsBehindTag(tagged)}${wordsOfSide(is)} ${prefixes.map(formatPrefix).join(", ")}`,
  holds: ({ is, prefixes, tagged }, packet) =>
    asked(packet, is, versionOfAll(prefixes), tagged, (own) => prefixes.some((prefix) => contains(prefix, own))),
};

/** What is asked of the address of one side. At the hooks of the IP layer no packet has a tag any more. */
export function asked(
  packet: Packet,
  side: Side,
  version: Version,
  tagged: boolean | undefined,
  question: (own: Prefix) => Answer,
): Answer {
  if (tagged || packet.version !== version) return false;
  const own = packet[side];
  return own === undefined ? undefined : question(own);
}

export function renderAddress(side: Side, prefixes: readonly Prefix[]): string {
  const texts = prefixes.map(formatPrefix);
  const list = texts.length === 1 ? texts.join() : `{ ${texts.join(", ")} }`;
  return `${addressField(side, versionOfAll(prefixes))} ${list}`;
}

/** nftables' words for the address of a side. */
export const addressField = (side: Side, version: Version) =>
  `${PROTOCOL[version]} ${({ destination: "daddr", source: "saddr" } as const)[side]}`;

/** Looks behind one 802.1Q tag. Without the type that stands there, nft would not know where the address is. */
export const behindTag = (version: Version) => `ether type 8021q vlan type ${PROTOCOL[version]} `;
export const wordsBehindTag = (tagged: boolean | undefined) => (tagged ? "behind a VLAN tag, " : "");
export const wordsOfSide = (side: Side) => (side === "destination" ? "what goes to" : "what comes from");

const PROTOCOL = { 4: "ip", 6: "ip6" } as const;

const versionOfAll = ([first]: readonly Prefix[]): Version => (first === undefined ? 4 : versionOf(first));
