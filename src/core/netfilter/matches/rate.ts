import type { Version } from "../../values/prefix";
import type { Rate } from "../../values/rate";
import { addressField } from "./address";
import type { MatchSpec } from "./spec";

/**
 * From a source that does not come too often; each packet that is asked about counts, so that it stands behind all other matches of its rule. A source is an IPv4 address,
 * or a network of IPv6 with the length 64, which one host can have to itself. The kernel learns who comes, into a set; of whom it has no room for, it does not hold.
 */
export interface RateMatch extends Rate {
  readonly is: "rate";
  readonly version: Version;
  /** What the kernel knows of each source. */
  readonly set: string;
}

export const rate: MatchSpec<RateMatch> = {
  text: ({ version, set, connections, per, burst }) =>
    `update @${set} { ${addressField("source", version)}${version === 6 ? " & ffff:ffff:ffff:ffff::" : ""} ${limitOf({ connections, per, burst })} }`,
  words: ({ version, connections, per, burst }) =>
    `at most ${connections} a ${per} from one ${version === 4 ? "address" : "network /64"}, ${burst} of them at once`,
  // What came before is not known of any packet.
  holds: ({ version }, packet) => (packet.version === version ? undefined : false),
};

/** What is kept of each source. */
export const limitOf = ({ connections, per, burst }: Rate) => `limit rate ${connections}/${per} burst ${burst} packets`;
