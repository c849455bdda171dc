import type { MatchSpec } from "./spec";

/**
 * The bit of the packet mark that frames carry while they are handed from one port of a bridge to another. br_netfilter gives such frames to the IP layer, as forwarded from the
 * bridge to itself, and nothing else tells them there from packets that are routed back out by the bridge they came by (net/bridge/br_netfilter_hooks.c).
 */
export const BRIDGED_MARK = 0x2000_0000;

/** Only bridged by this host, not routed: br_netfilter has handed it to the IP layer. */
export interface OnlyBridgedMatch {
  readonly is: "only-bridged";
}

const mark = `0x${BRIDGED_MARK.toString(16)}`;

export const onlyBridged: MatchSpec<OnlyBridgedMatch> = {
  // By its devices too: somebody else may use the bit for what is routed.
  text: () => `meta iifkind "bridge" meta oifkind "bridge" meta mark & ${mark} == ${mark}`,
  words: () => "what is only bridged, where br_netfilter hands it to the IP layer",
  // Whoever asks about a packet asks about one of the IP layer.
  holds: () => false,
};
