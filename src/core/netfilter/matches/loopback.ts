import { usesDevice } from "./interface";
import type { Direction, MatchSpec } from "./spec";

export interface LoopbackMatch {
  readonly is: "loopback";
  readonly direction: Direction;
}

export const loopback: MatchSpec<LoopbackMatch> = {
  text: ({ direction }) => `${direction === "out" ? "oifname" : "iifname"} "lo"`,
  words: () => "what stays on the host",
  holds: ({ direction }, packet) => usesDevice(packet, direction, "lo"),
};
