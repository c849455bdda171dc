import { isOneOf } from "./answer";
import type { MatchSpec } from "./spec";

/** From one of these link-layer addresses, in small letters. Only Ethernet has them, and only what came in by a device. */
export interface MacMatch {
  readonly is: "mac";
  readonly addresses: readonly string[];
  /** A set of the same fragment that has them; absent: there is one of them. */
  readonly set?: string;
}

export const mac: MatchSpec<MacMatch> = {
  text: ({ addresses, set }) => `ether saddr ${set === undefined ? addresses.join() : `@${set}`}`,
  words: ({ addresses }) => `what a neighbour with the MAC address ${addresses.join(" or ")} hands over`,
  holds: ({ addresses }, { hook, mac: sender }) => (hook === "output" ? false : isOneOf(sender, ...addresses)),
};
