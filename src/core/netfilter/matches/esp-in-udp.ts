import type { MatchSpec } from "./spec";

/** What is wrapped once more to pass NAT, and so is no key exchange. */
export interface EspInUdpMatch {
  readonly is: "esp-in-udp";
}

export const espInUdp: MatchSpec<EspInUdpMatch> = {
  // Key exchange has four zero bytes there (RFC 3948, 2.2).
  text: () => "@th,64,32 != 0",
  words: () => "ESP that UDP carries through NAT",
  // What stands behind its header is not known of any packet.
  holds: () => undefined,
};
