import type { Prefix } from "../values/prefix";

/**
 * Where rules stand. `ip`: packets of the IP layer, routed or the host's own. `bridge`: frames that leave through a port of a
 * bridge. `device`: everything that is handed to a device for sending, raw frames included.
 */
export type Layer = "ip" | "bridge" | "device";

/** A question to a packet. All matches of a rule must hold. */
export type Match =
  | {
      readonly is: "destination" | "source";
      readonly prefixes: readonly Prefix[];
      /** behind one 802.1Q tag */ readonly tagged?: boolean;
    }
  | { readonly is: "wrapped-by-tunnel" }
  /** ICMPv6 types, first and last. A range and no list: what an unnamed set costs grows with the square of their number. */
  | { readonly is: "icmpv6"; readonly types: readonly [number, number] }
  | { readonly is: "dhcp-request"; readonly version: 4 | 6 };

export type Verdict =
  /** Nothing more of this resource looks at the packet; others still do. */
  | { readonly is: "return" }
  | { readonly is: "drop" }
  /** A line in the kernel's log, at most ten a minute, and on to the next rule. */
  | { readonly is: "log"; readonly prefix: string }
  /** Go on in another chain of the same resource and come back to nowhere. */
  | { readonly is: "goto"; readonly chain: string };

export interface Rule {
  /** Unique in its fragment, sorts as text, says what the rule is for: "50 deny to 10.0.0.0/8". Never contains ` | `. */
  readonly id: string;
  /** For people; stands behind the id in the rule's comment. */
  readonly note?: string;
  readonly matches: readonly Match[];
  /** Name of the counter that counts the packets which get the verdict. */
  readonly counter?: string;
  readonly verdict: Verdict;
}

export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** What one resource adds to one layer: its chains, and the interface whose outgoing packets run through the first of them. */
export interface Fragment {
  readonly layer: Layer;
  readonly leaving: string;
  readonly chains: readonly [Chain, ...Chain[]];
}
