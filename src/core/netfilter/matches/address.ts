import { contains, firstAddress, type Prefix, type Version, versionOf } from "../../values/prefix";
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
  words: ({ is, prefixes, tagged }) =>
    `${wordsBehindTag(tagged)}${wordsOfSide(is)} ${prefixes.map(({ text }) => text).join(", ")}`,
  // Of networks a map has the first addresses, and there is one map for each length: what it finds by a hash cannot overlap.
  key: ({ is, prefixes: [prefix, ...others], tagged }) => {
    if (prefix === undefined || others.length > 0 || tagged || prefix.length === 0) return undefined;
    const { length, bits } = prefix;
    const version = versionOf(prefix);
    return {
      name: `${is === "source" ? "from" : "to"}-ipv${version}-${length}`,
      type: `ipv${version}_addr`,
      bytes: bits / 8,
      expression: `${addressField(is, version)}${maskOf(version, length)}`,
      isMasked: length < bits,
      value: firstAddress(prefix, length).text,
    };
  },
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
  const texts = prefixes.map(({ text }) => text);
  const list = texts.length === 1 ? texts.join() : `{ ${texts.join(", ")} }`;
  return `${addressField(side, versionOfAll(prefixes))} ${list}`;
}

/** nftables' words for the address of a side. */
export const addressField = (side: Side, version: Version) =>
  `${PROTOCOL[version]} ${({ destination: "daddr", source: "saddr" } as const)[side]}`;

/** What of an address is asked by the length of its network: " & 255.255.255.0", or nothing for all of it. */
export function maskOf(version: Version, length: number): string {
  const bits = version === 4 ? 32 : 128;
  if (length === bits) return "";
  return ` & ${firstAddress({ bits, base: (1n << BigInt(bits)) - 1n }, length).text}`;
}

/** Looks behind one 802.1Q tag. Without the type that stands there, nft would not know where the address is. */
export const behindTag = (version: Version) => `ether type 8021q vlan type ${PROTOCOL[version]} `;
export const wordsBehindTag = (tagged: boolean | undefined) => (tagged ? "behind a VLAN tag, " : "");
export const wordsOfSide = (side: Side) => (side === "destination" ? "what goes to" : "what comes from");

const PROTOCOL = { 4: "ip", 6: "ip6" } as const;

const versionOfAll = ([first]: readonly Prefix[]): Version => (first === undefined ? 4 : versionOf(first));
