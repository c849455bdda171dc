import { all, isBetween, isOneOf } from "./answer";
import { hasTransportHeader } from "./later-fragment";
import type { MatchSpec } from "./spec";

/** ICMPv6 types, first and last. A range and no list: what an unnamed set costs grows with the square of their number. */
export interface Icmpv6Match {
  readonly is: "icmpv6";
  readonly types: readonly [number, number];
  readonly hopLimit: 1 | 255;
}

export const icmpv6: MatchSpec<Icmpv6Match> = {
  text: ({ types, hopLimit }) => `icmpv6 type ${[...new Set(types)].join("-")} ip6 hoplimit ${hopLimit}`,
  words: ({ types: [first, last] }) =>
    `ICMPv6 of ${first === last ? `type ${first}` : `types ${first} to ${last}`}, without which the link does not work`,
  holds: ({ types, hopLimit }, packet) =>
    all(
      hasTransportHeader(packet),
      packet.version === 6,
      isOneOf(packet.protocol, "icmpv6"),
      isBetween(packet.icmpType, types),
      isOneOf(packet.hopLimit, hopLimit),
    ),
};
