import type { Prefix } from "../../values/prefix";
import type { Packet } from "../packet";
import type { Answer } from "./answer";

/** What must be known of one kind of match; a file each, so that none of it is forgotten. */
export interface MatchSpec<Match> {
  /** In nft's words. */
  text(match: Match): string;
  /** For people: what a packet is for which it holds. */
  words(match: Match): string;
  /** Whether it holds for a packet; `undefined` where that cannot be known. */
  holds(match: Match, packet: Packet, sets: Sets): Answer;
}

/** Who is in the sets that rules name. */
export interface Sets {
  /** @param whenMissing as in {@link InSetMatch}: what the set holds where nobody declares it */
  has(set: string, address: Prefix, whenMissing: "none" | "all" | undefined): Answer;
}

/** As a packet leaves the host, or as it arrives. */
export type Direction = "out" | "in";
export type Side = "destination" | "source";
