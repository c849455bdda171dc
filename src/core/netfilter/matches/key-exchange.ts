import { all, isOneOf } from "./answer";
import { hasTransportHeader } from "./later-fragment";
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
  holds: ({ direction, port }, packet) =>
    all(
      hasTransportHeader(packet),
      isOneOf(packet.protocol, "udp"),
      isOneOf(direction === "out" ? packet.sourcePort : packet.destinationPort, port),
    ),
};
