import { addressField, asked, behindTag, type Version, wordsBehindTag, wordsOfSide } from "./address";
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
  /** behind one 802.1Q tag */
  readonly tagged?: boolean;
}

export const countedIn: MatchSpec<CountedInMatch> = {
  text: ({ side, version, map, tagged }) =>
    `${tagged ? behindTag(version) : ""}counter name ${addressField(side, version)} map @${map}`,
  words: ({ side, map, tagged }) => `${wordsBehindTag(tagged)}${wordsOfSide(side)} a network of ${map}, which counts it`,
  // The same fragment declares the map.
  holds: ({ side, version, map, tagged }, packet, sets) =>
    asked(packet, side, version, tagged, (own) => sets.has(map, own, undefined)),
};
