import type { Version } from "../../values/prefix";
import type { Packet } from "../packet";
import { all } from "./answer";
import type { MatchSpec } from "./spec";

/**
 * A fragment behind the first one of its packet: it has no header of TCP, UDP or ICMP, so that nobody knows its ports. Seen only where nobody has put the packet together before,
 * as connection tracking does.
 */
export interface LaterFragmentMatch {
  readonly is: "later-fragment";
  readonly version: Version;
}

// The offset is the lower 13 bits of its field (RFC 791, 3.1), or a field of the fragment header (RFC 8200, 4.5), without which this does not hold.
const TEXT = { 4: "ip frag-off & 0x1fff != 0", 6: "frag frag-off != 0" } as const;

export const laterFragment: MatchSpec<LaterFragmentMatch> = {
  text: ({ version }) => TEXT[version],
  words: ({ version }) => `a fragment of IPv${version} behind the first one, which has no ports`,
  holds: ({ version }, packet) => all(packet.version === version, packet.laterFragment),
};

/** No question to the header of TCP, UDP or ICMP holds for a packet that has none. */
export const hasTransportHeader = ({ laterFragment: said }: Packet): boolean => said !== true;
