import type { ConnectionLabel } from "../packet";
import type { MatchSpec } from "./spec";

/** By what one of our rules has remembered of the packet's connection. */
export interface RememberedMatch {
  readonly is: "remembered";
  readonly label: ConnectionLabel;
}

/** Numbers of labels, of 0 to 127. Names would want /etc/xtables/connlabel.conf; the last ones are the least likely to be somebody's. */
export const LABEL = { begun: 126, refused: 127, ending: 125 } as const satisfies Record<ConnectionLabel, number>;

const WORDS = {
  begun: "of a connection that was seen to begin",
  refused: "of a connection of which something was refused",
  ending: "of a connection that ends with what allowed it",
} as const;

export const remembered: MatchSpec<RememberedMatch> = {
  text: ({ label }) => `ct label ${LABEL[label]}`,
  words: ({ label }) => WORDS[label],
  holds: ({ label }, { remembered: known }) => known?.[label],
};
