import type { Prefix } from "../values/prefix";

/**
 * What is remembered of a connection, in the labels that conntrack keeps with it: they outlive our tables, and nobody sends them.
 * `begun`: its first packet was seen. `refused`: a packet of it had an owner and was refused. `ending`: it was opened by an entry with which it ends.
 */
export type ConnectionLabel = "begun" | "refused" | "ending";

/**
 * What is known of one packet, at one hook of the IP layer. What is absent is not known, and a match that wants it cannot be told. A connection
 * in use, for example, is known by its addresses and the port of one side, and not by the socket that it belongs to.
 */
export interface Packet {
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  readonly version: 4 | 6;
  /** "other": none that has a name here. */
  readonly protocol?: "tcp" | "udp" | "icmp" | "icmpv6" | "esp" | "ah" | "other";
  /** A single address. */
  readonly source?: Prefix;
  /** A single address. */
  readonly destination?: Prefix;
  /** The link-layer address of who has handed it over, in small letters; of a packet that the host sends there is none. */
  readonly mac?: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmpType?: number;
  /** A fragment behind the first one: it has a protocol, but none of its ports, types and flags. */
  readonly laterFragment?: boolean;
  readonly hopLimit?: number;
  /** The device that it came in by; of a packet that the host sends there is none, and none need be said. */
  readonly in?: string;
  /** The device that it goes out by; of a packet for the host there is none, and none need be said. */
  readonly out?: string;
  /** What conntrack takes it for. */
  readonly connection?: "new" | "established" | "related" | "invalid" | "untracked";
  /** It goes towards whoever has opened the connection. */
  readonly isAnswer?: boolean;
  /** Of TCP: the first packet of a connection, or any other one. */
  readonly tcp?: "opening" | "later";
  /** There is something behind its TCP or UDP header. */
  readonly hasData?: boolean;
  /** Its destination, or its source, is an address of this host. */
  readonly toThisHost?: boolean;
  readonly fromThisHost?: boolean;
  /** Whose socket has sent it; "nobody" where there is none. */
  readonly uid?: number | "nobody";
  /** IPsec has brought it, or will wrap it. */
  readonly wrapped?: boolean;
  /** Whether our rules have remembered this of its connection. */
  readonly remembered?: Readonly<Partial<Record<ConnectionLabel, boolean | undefined>>> | undefined;
  /** When it is looked at. */
  readonly time?: Date;
}
