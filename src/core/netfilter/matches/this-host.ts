import type { MatchSpec } from "./spec";

/** To or from an address of this host. The destination is asked as it stands after NAT; the device is the one from before it. */
export interface ThisHostMatch {
  readonly is: "to-this-host" | "from-this-host";
}

export const thisHost: MatchSpec<ThisHostMatch> = {
  text: ({ is }) => `fib ${is === "to-this-host" ? "daddr" : "saddr"} type local`,
  words: ({ is }) => `what ${is === "to-this-host" ? "goes to" : "comes from"} an address of this host`,
  holds: ({ is }, { toThisHost, fromThisHost }) => (is === "to-this-host" ? toThisHost : fromThisHost),
};
