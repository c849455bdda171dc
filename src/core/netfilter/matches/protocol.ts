import { isOneOf } from "./answer";
import type { MatchSpec } from "./spec";

/** By the protocol that the IP packet carries, behind all extension headers. */
export interface ProtocolMatch {
  readonly is: "protocol";
  readonly protocol: "tcp" | "udp" | "icmp" | "icmpv6";
}

export const protocol: MatchSpec<ProtocolMatch> = {
  // nft's own name for it.
  text: (match) => `meta l4proto ${match.protocol === "icmpv6" ? "ipv6-icmp" : match.protocol}`,
  words: (match) => match.protocol,
  holds: (match, packet) => isOneOf(packet.protocol, match.protocol),
};
