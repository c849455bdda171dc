import type { Term } from "../../values/until";
import type { MatchSpec } from "./spec";

/** Before a moment, and after another one where that is said, by the kernel's own clock. In seconds since 1970, which no time zone moves. */
export interface UntilMatch extends Term {
  readonly is: "until";
}

export const until: MatchSpec<UntilMatch> = {
  text: ({ since, end }) => `${since === undefined ? "" : `meta time >= ${since} `}meta time < ${end}`,
  words: ({ since, end }) => `${since === undefined ? "" : `from ${utc(since)} `}until ${utc(end)} UTC`,
  holds: ({ since, end }, { time }) =>
    time === undefined ? undefined : time.getTime() < end * 1000 && (since === undefined || since * 1000 <= time.getTime()),
};

/** "2026-12-24 17:00:00" */
const utc = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
