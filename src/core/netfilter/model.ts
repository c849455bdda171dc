import type { PortRange } from "../values/ports";
import type { Prefix } from "../values/prefix";
import type { UtcSpan } from "../values/weekly-window";

/**
 * Where rules stand. `ip`: packets of the IP layer, routed or the host's own. `bridge`: frames that leave through a port of a
 * bridge. `device`: everything that is handed to a device for sending, raw frames included.
 */
export type Layer = "ip" | "bridge" | "device";

/** As a packet leaves the host, or as it arrives. */
export type Direction = "out" | "in";

/** A question to a packet. All matches of a rule must hold. */
export type Match =
  | {
      readonly is: "destination" | "source";
      readonly prefixes: readonly Prefix[];
      /** behind one 802.1Q tag */ readonly tagged?: boolean;
    }
  /** Wrapped by IPsec: an outgoing packet will be, an incoming one was. By a security association of this request id, and (tunnels only) with this beginning and end, where they are given. */
  | {
      readonly is: "wrapped";
      readonly direction: Direction;
      readonly reqid?: number | undefined;
      readonly from?: Prefix | undefined;
      readonly to?: Prefix | undefined;
    }
  /** What carries a tunnel: its protocol, its key exchange, or what is wrapped once more to pass NAT and so is no key exchange. */
  | { readonly is: "ipsec-protocol"; readonly protocol: "esp" | "ah" }
  | { readonly is: "key-exchange"; readonly direction: Direction; readonly port: 500 | 4500 }
  | { readonly is: "esp-in-udp" }
  | { readonly is: "loopback"; readonly direction: Direction }
  /** To an address of this host, as the destination stands after NAT; the device is the one from before it. */
  | { readonly is: "to-this-host" }
  | { readonly is: "from-this-host" }
  /** ICMPv6 types, first and last. A range and no list: what an unnamed set costs grows with the square of their number. */
  | { readonly is: "icmpv6"; readonly types: readonly [number, number]; readonly hopLimit: 1 | 255 }
  | { readonly is: "dhcp-request" | "dhcp-reply"; readonly version: 4 | 6 }
  | { readonly is: "destination-ports"; readonly protocol: "tcp" | "udp"; readonly ports: PortRange }
  | { readonly is: "source-ports"; readonly protocol: "tcp" | "udp"; readonly ports: PortRange }
  /** By what conntrack knows of the packet's connection; `unknown`: new, or one that conntrack does not follow. */
  | { readonly is: "connection"; readonly state: "new" | "unknown" | "open" | "answer" }
  /** By what one of our rules has remembered of the packet's connection. */
  | { readonly is: "remembered"; readonly label: ConnectionLabel }
  /** The first packet of a TCP connection, any other one, or one that carries data. */
  | { readonly is: "tcp"; readonly part: "opening" | "later" | "data" }
  /** Sent through a socket that somebody holds: by this user, or by any other. */
  | { readonly is: "owned"; readonly uid?: number; readonly notUid?: number }
  | { readonly is: "time"; readonly span: UtcSpan };

/**
 * What is remembered of a connection, in the labels that conntrack keeps with it: they outlive our tables, and nobody sends them.
 * `begun`: its first packet was seen. `refused`: a packet of it had an owner and was refused.
 */
export type ConnectionLabel = "begun" | "refused";

export type Verdict =
  /** On to the next rule. */
  | { readonly is: "remember"; readonly label: ConnectionLabel }
  /** Nothing more of this resource looks at the packet; others still do. */
  | { readonly is: "return" }
  | { readonly is: "drop" }
  /** It passes all of ours at this hook. Only for what OutputGuard has asked about. */
  | { readonly is: "accept" }
  /** A line in the kernel's log, at most ten a minute, and on to the next rule; with the uid of who on this host sent it. */
  | { readonly is: "log"; readonly prefix: string }
  /** Go on in another chain of the same resource and come back to nowhere. */
  | { readonly is: "goto"; readonly chain: string }
  /** Ask the chains that are attached to the packet's user, or group, and come back. */
  | { readonly is: "ask"; readonly map: "users" | "groups" };

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

/** Which packets run through one of a resource's chains. */
export interface Attachment {
  /** A hook, or the packets that an OutputGuard asks a user or a group about. */
  readonly to: "prerouting" | "output" | "postrouting" | "egress" | "users" | "groups";
  /** The device by which they come or go, the user, the group; absent: all packets of the hook. */
  readonly key?: string;
  readonly chain: string;
}

/** What one resource adds to one layer. */
export interface Fragment {
  readonly layer: Layer;
  readonly attachments: readonly Attachment[];
  readonly chains: readonly Chain[];
  /** Without which its rules would be wrong: a kernel with IPsec, one whose weekdays begin at midnight UTC. */
  readonly needs?: readonly ("xfrm" | "utc")[];
  /** What a host drops where the table does not load, beside what is forwarded out of the devices that are attached. */
  readonly shut?: readonly { readonly hook: "forward" | "output"; readonly matches: readonly Match[] }[];
}
