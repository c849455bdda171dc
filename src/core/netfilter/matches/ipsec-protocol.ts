import { isOneOf } from "./answer";
import type { MatchSpec } from "./spec";

/** What carries a tunnel. */
export interface IpsecProtocolMatch {
  readonly is: "ipsec-protocol";
  readonly protocol: "esp" | "ah";
}

export const ipsecProtocol: MatchSpec<IpsecProtocolMatch> = {
  text: ({ protocol }) => `meta l4proto ${protocol}`,
  words: ({ protocol }) => `what carries a tunnel (${protocol.toUpperCase()})`,
  holds: ({ protocol }, packet) => isOneOf(packet.protocol, protocol),
};
