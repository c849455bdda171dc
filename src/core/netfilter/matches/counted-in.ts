import { firstAddress, type Version } from "../../values/prefix";
import { addressField, asked, behindTag, maskOf, wordsBehindTag, wordsOfSide } from "./address";
import type { MatchSpec, Side } from "./spec";

/**
 * To or from an address that a map of counters has, and counted by the counter that the map leads it to. So a rule is one, however many
 * networks there are, and each counts for itself. (A counter in the element itself would be lost with its table.)
 */
export interface CountedInMatch {
  readonly is: "counted-in";
  readonly side: Side;
  readonly version: Version;
  readonly map: string;
  /** All networks of the map have this length, and it holds their first addresses: found by their hash, in a time that does not grow with their number. */
  readonly length?: number | undefined;
  /** behind one 802.1Q tag */
  readonly tagged?: boolean;
}

export const countedIn: MatchSpec<CountedInMatch> = {
  text: ({ side, version, map, length, tagged }) =>
    `${tagged ? behindTag(version) : ""}counter name ${addressField(side, version)}${length === undefined ? "" : maskOf(version, length)} map @${map}`,
  words: ({ side, map, tagged }) => `${wordsBehindTag(tagged)}${wordsOfSide(side)} a network of ${map}, which counts it`,
  // The same fragment declares the map.
  holds: ({ side, version, map, length, tagged }, packet, sets) =>
    asked(packet, side, version, tagged, (own) =>
      sets.has(map, length === undefined ? own : firstAddress(own, length), undefined),
    ),
};
