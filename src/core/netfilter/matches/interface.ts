import type { Direction, MatchSpec } from "./spec";

/** By the device that a packet came in by, or goes out by. */
export interface InterfaceMatch {
  readonly is: "interface";
  readonly direction: Direction;
  readonly name: string;
}

export const byInterface: MatchSpec<InterfaceMatch> = {
  text: ({ direction, name }) => `${direction === "out" ? "oifname" : "iifname"} "${name}"`,
  words: ({ direction, name }) => (direction === "out" ? `what goes out by ${name}` : `what came in by ${name}`),
};
