import { ADDRESS_FIELD } from "./address";
import type { MatchSpec, Side } from "./spec";

/** To or from an address that is in a set, which another resource may declare. */
export interface InSetMatch {
  readonly is: "in-set";
  readonly side: Side;
  readonly version: 4 | 6;
  readonly set: string;
  /** What the set holds as long as nobody declares it: `none` where the rule lets something pass, `all` where it denies. */
  readonly whenMissing: "none" | "all";
}

export const inSet: MatchSpec<InSetMatch> = {
  text: ({ side, version, set }) => `${version === 4 ? "ip" : "ip6"} ${ADDRESS_FIELD[side]} @${set}`,
  words: ({ side, set }) => `what ${side === "destination" ? "goes to" : "comes from"} an address of the set ${set}`,
};
