import { all, isOneOf } from "./answer";
import type { Direction, MatchSpec } from "./spec";

/** By the port of IPsec's key exchange on this host. */
export interface KeyExchangeMatch {
  readonly is: "key-exchange";
  readonly direction: Direction;
  readonly port: 500 | 4500;
}

export const keyExchange: MatchSpec<KeyExchangeMatch> = {
  text: ({ direction, port }) => `udp ${direction === "out" ? "sport" : "dport"} ${port}`,
  words: ({ direction, port }) => `${direction === "out" ? "from" : "to"} the port of IPsec's key exchange, UDP ${port}`,
  holds: ({ direction, port }, { protocol, sourcePort, destinationPort }) =>
    all(isOneOf(protocol, "udp"), isOneOf(direction === "out" ? sourcePort : destinationPort, port)),
};
