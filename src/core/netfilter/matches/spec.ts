/** What must be known of one kind of match; a file each, so that none of it is forgotten. */
export interface MatchSpec<Match> {
  /** In nft's words. */
  text(match: Match): string;
  /** For people: what a packet is for which it holds. */
  words(match: Match): string;
}

/** As a packet leaves the host, or as it arrives. */
export type Direction = "out" | "in";
export type Side = "destination" | "source";
