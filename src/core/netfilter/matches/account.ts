import type { MatchSpec } from "./spec";

/** Sent through a socket of this user's, or of a process whose effective group this is. Only the host knows the number that the name stands for. */
export interface AccountMatch {
  readonly is: "account";
  readonly of: "users" | "groups";
  readonly name: string;
  /** The set that has the number, and nothing where the host knows nobody of that name. */
  readonly set: string;
}

export const account: MatchSpec<AccountMatch> = {
  text: ({ of, set }) => `meta ${of === "users" ? "skuid" : "skgid"} @${set}`,
  words: ({ of, name }) => (of === "users" ? `what the user ${name} sends` : `what processes of the group ${name} send`),
  holds: ({ of, name }, { uid }) => {
    if (uid === "nobody") return false;
    // Of all names, one has the same number everywhere.
    return of === "users" && name === "root" && uid !== undefined ? uid === 0 : undefined;
  },
};
