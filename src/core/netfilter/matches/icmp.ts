import { all, isBetween, isOneOf } from "./answer";
import { hasTransportHeader } from "./later-fragment";
import type { MatchSpec } from "./spec";

/** ICMP types, first and last. A range and no list: what an unnamed set costs grows with the square of their number. */
export interface IcmpMatch {
  readonly is: "icmp";
  readonly version: 4 | 6;
  readonly types: readonly [number, number];
}

export const icmp: MatchSpec<IcmpMatch> = {
  text: ({ version, types }) => `${nameOf(version)} type ${[...new Set(types)].join("-")}`,
  words: ({ version, types: [first, last] }) =>
    `${version === 4 ? "ICMP" : "ICMPv6"} of ${first === last ? `type ${first}` : `types ${first} to ${last}`}`,
  holds: ({ version, types }, packet) =>
    all(hasTransportHeader(packet), isOneOf(packet.protocol, nameOf(version)), isBetween(packet.icmpType, types)),
};

const nameOf = (version: 4 | 6) => (version === 4 ? "icmp" : "icmpv6");
