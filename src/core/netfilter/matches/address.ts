import { formatPrefix, type Prefix } from "../../values/prefix";
import type { MatchSpec, Side } from "./spec";

/** To or from one of the prefixes, which are of one IP version. */
export interface AddressMatch {
  readonly is: Side;
  readonly prefixes: readonly Prefix[];
  /** behind one 802.1Q tag */
  readonly tagged?: boolean;
}

export const address: MatchSpec<AddressMatch> = {
  text: ({ is, prefixes, tagged }) =>
    `${tagged ? `ether type 8021q vlan type ${versionOf(prefixes)} ` : ""}${renderAddress(is, prefixes)}`,
  words: ({ is, prefixes, tagged }) =>
    `${tagged ? "behind a VLAN tag, " : ""}what ${is === "destination" ? "goes to" : "comes from"} ${prefixes.map(formatPrefix).join(", ")}`,
};

export function renderAddress(side: Side, prefixes: readonly Prefix[]): string {
  const texts = prefixes.map(formatPrefix);
  const list = texts.length === 1 ? texts.join() : `{ ${texts.join(", ")} }`;
  return `${versionOf(prefixes)} ${ADDRESS_FIELD[side]} ${list}`;
}

/** nftables' word for the address of a side. */
export const ADDRESS_FIELD = { destination: "daddr", source: "saddr" } as const satisfies Record<Side, string>;

const versionOf = (prefixes: readonly Prefix[]) => (prefixes[0]?.bits === 128 ? "ip6" : "ip");
