import type { Version } from "../../values/prefix";
import { addressField, asked, behindTag, wordsBehindTag, wordsOfSide } from "./address";
import type { MatchSpec, Side } from "./spec";

/** To or from an address that is in a set. */
export interface InSetMatch {
  readonly is: "in-set";
  readonly side: Side;
  readonly version: Version;
  readonly set: string;
  /** behind one 802.1Q tag */
  readonly tagged?: boolean;
  /**
   * What the set holds as long as nobody declares it: `none` where the rule lets something pass, `all` where it denies. Absent: the same
   * fragment declares it.
   */
  readonly whenMissing?: "none" | "all" | undefined;
}

export const inSet: MatchSpec<InSetMatch> = {
  text: ({ side, version, set, tagged }) => `${tagged ? behindTag(version) : ""}${addressField(side, version)} @${set}`,
  words: ({ side, set, tagged }) => `${wordsBehindTag(tagged)}${wordsOfSide(side)} an address of the set ${set}`,
  holds: ({ side, version, set, tagged, whenMissing }, packet, sets) =>
    asked(packet, side, version, tagged, (own) => sets.has(set, own, whenMissing)),
};
