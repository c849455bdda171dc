import type { Answer } from "./answer";
import type { MatchSpec } from "./spec";

/** Sent through a socket that somebody holds: by this user, or by any other. */
export interface OwnedMatch {
  readonly is: "owned";
  readonly uid?: number;
  readonly notUid?: number;
}

export const owned: MatchSpec<OwnedMatch> = {
  text: ({ uid, notUid }) => `meta skuid ${uid ?? (notUid === undefined ? ">= 0" : `!= ${notUid}`)}`,
  words: ({ uid }) =>
    uid === undefined ? "what somebody on this host sends" : uid === 0 ? "what root sends" : `what uid ${uid} sends`,
  holds: ({ uid, notUid }, { uid: sender }): Answer => {
    if (sender === undefined) return undefined;
    if (sender === "nobody") return false;
    return uid === undefined ? sender !== notUid : sender === uid;
  },
};
