import type { MatchSpec } from "./spec";

/** By what an Ethernet frame carries. Of a tagged frame that is the tag. */
export interface EtherTypeMatch {
  readonly is: "ether-type";
  readonly type: "arp";
}

export const etherType: MatchSpec<EtherTypeMatch> = {
  text: ({ type }) => `ether type ${type}`,
  words: ({ type }) => type.toUpperCase(),
  // Whoever asks about a packet asks about one of the IP layer.
  holds: () => false,
};
