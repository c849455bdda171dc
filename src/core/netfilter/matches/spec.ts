import type { Prefix } from "../../values/prefix";
import type { Packet } from "../packet";
import type { Answer } from "./answer";

/** What must be known of one kind of match; a file each, so that none of it is forgotten. */
export interface MatchSpec<Match> {
  /** In nft's words. */
  text(match: Match): string;
  /** For people: what a packet is for which it holds. */
  words(match: Match): string;
  /** How a map finds packets for which it holds, where it can; absent: never. */
  key?(match: Match): MapKey | undefined;
  /** Whether it holds for a packet; `undefined` where that cannot be known. */
  holds(match: Match, packet: Packet, sets: Sets): Answer;
}

/** A field of a map's elements: what is asked of a packet, and the answer for which a match holds. */
export interface MapKey {
  /** Unique for the question: "from-ipv4-24". */
  readonly name: string;
  /** nft's type of the answer, and how many bytes of a key it takes. */
  readonly type: string;
  readonly bytes: number;
  /** nft's expression that asks: "ip saddr & 255.255.255.0". */
  readonly expression: string;
  /** It has a mask. */
  readonly isMasked?: boolean;
  /** As nft lists it. */
  readonly value: string;
}

/** Who is in the sets that rules name. */
export interface Sets {
  /** @param whenMissing as in {@link InSetMatch}: what the set holds where nobody declares it */
  has(set: string, address: Prefix, whenMissing: "none" | "all" | undefined): Answer;
}

/** As a packet leaves the host, or as it arrives. */
export type Direction = "out" | "in";
export type Side = "destination" | "source";
