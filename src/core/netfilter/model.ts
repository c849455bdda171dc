import type { Match } from "./matches";
import type { ConnectionLabel } from "./packet";
import type { Layer, SlotName } from "./slots";

export type Verdict =
  /** On to the next rule. */
  | { readonly is: "remember"; readonly label: ConnectionLabel }
  /** Nothing more of this resource looks at the packet; others still do. */
  | { readonly is: "return" }
  | { readonly is: "drop" }
  /** The sender is told that it may not be; of a TCP connection, that nobody is there. */
  | { readonly is: "reject"; readonly with: "tcp reset" | "icmpx admin-prohibited" }
  /** It passes all of ours at this hook: what OutputGuard has asked about, and what a default drop lets through. */
  | { readonly is: "accept" }
  /** The packet gets, or loses, the mark of what is only bridged (`OnlyBridgedMatch`), and goes on to the next rule. */
  | { readonly is: "mark-bridged" | "unmark-bridged" }
  /**
   * A line in the kernel's log, with the uid of who on this host sent it, or the packet for whoever listens to an nflog group; at most ten a minute,
   * and on to the next rule.
   */
  | { readonly is: "log"; readonly prefix: string; readonly nflogGroup?: number }
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
  /** The decision of the user's that it carries out, as the entry of `rules` is called; absent: it is the same whatever he decides. */
  readonly decision?: string;
}

export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** Which packets run through one of a resource's chains. */
export interface Attachment {
  readonly to: SlotName;
  /** The device by which they come or go, the user, the group, the phase, as the slot has it; absent: all packets of the hook. */
  readonly key?: string;
  readonly chain: string;
}

/** A set that rules of this resource, or of others, name. Its elements come from all fragments that give it some. */
export interface NamedSet {
  readonly name: string;
  /** nft's type: "ipv4_addr", or fields joined by " . " behind `typeof`. */
  readonly type: { readonly is: "type" | "typeof"; readonly text: string };
  readonly flags?: readonly ("interval" | "timeout")[];
  /**
   * The kernel puts into it whom rules see, at most so many, and forgets each of them so long after it was last seen. Whom it knows, it treats as `by` said when it saw him
   * first; so with another one it is another set.
   */
  readonly learns?: { readonly most: number; readonly forgottenAfterSeconds: number; readonly by: string };
  /** It is a map that leads each element to a counter of its own, for {@link CountedInMatch}. */
  readonly leadsTo?: "counters";
  /** All its elements come from this resource, so that each that was confirmed is compared, also where the resource does not know them any more. */
  readonly isOwn?: boolean;
  /** For people: what the set is for. */
  readonly what: string;
}

/** A member that the resource gives to a set, which it may declare itself or not; it waits until somebody does. */
export interface SetElement {
  readonly set: string;
  /** As nft lists it: "192.0.2.0/24", `"tap0" . 52:54:00:12:34:56`. */
  readonly element: string;
  /** The counter that a map of counters leads it to. */
  readonly counter?: string;
  /** For people; the element's comment. */
  readonly note?: string;
  /** As a rule's; absent: it is called by its set and itself. */
  readonly id?: string;
  /** As a rule's; absent: it is one itself. */
  readonly decision?: string;
  /** Of a decision that names several at once: which of them it is. */
  readonly member?: string;
}

/**
 * What passes in a phase by an element of a map. All resources share the map, which one rule asks for all of them: a packet meets that one, however many there are. As a rule's, if nothing
 * else is said.
 */
export interface Passage {
  readonly to: SlotName;
  /** The phase. */
  readonly key: string;
  readonly id: string;
  readonly note?: string;
  /** Each has a key, {@link keyOfMatch}. */
  readonly matches: readonly Match[];
  readonly counter: string;
  readonly decision?: string;
}

/** A user or group whose number, as the host knows it, is the one member of a set; the set is empty where the host knows nobody of that name. */
export interface Account {
  readonly of: "users" | "groups";
  readonly name: string;
  readonly set: string;
  /** As a rule's. */
  readonly decision: string;
}

/** A conntrack helper that rules may assign: it reads what a protocol says of further connections. */
export interface ConntrackHelper {
  readonly name: string;
  /** The kernel's name of it. */
  readonly helper: string;
  readonly protocol: "tcp" | "udp";
}

/** What is done where the table does not load: `drop` at once; of `drop-the-rest`, only what `pass` names passes. */
export interface FailClosedRule {
  readonly hook: "input" | "forward" | "output";
  readonly verdict: "drop" | "pass" | "drop-the-rest";
  /** Without sets, conntrack and helpers, for those may be what did not load. */
  readonly matches: readonly Match[];
}

/** What one resource adds to one layer. */
export interface Fragment {
  readonly layer: Layer;
  readonly attachments: readonly Attachment[];
  readonly chains: readonly Chain[];
  readonly sets?: readonly NamedSet[];
  readonly elements?: readonly SetElement[];
  readonly passages?: readonly Passage[];
  /** Over so many files its elements are spread, so that one more of very many sends, tries and keeps one of these files. Absent: over none, all is one file. */
  readonly parts?: number;
  readonly accounts?: readonly Account[];
  readonly helpers?: readonly ConntrackHelper[];
  /** It only lets packets pass that nothing else would: where a table does not load, it is tried once more without what opens. */
  readonly opens?: boolean;
  /**
   * Without which its rules would be wrong: a kernel with IPsec, one whose weekdays begin at midnight UTC, one that follows the connections of bridges, one that tells rules by which bridge
   * a frame goes, where there is another bridge than the one that is named.
   */
  readonly needs?: readonly ("xfrm" | "utc" | "bridge-conntrack" | `bridge-names ${string}`)[];
  /** What a host does where the table does not load, beside what the slots of the attachments say. */
  readonly failClosed?: readonly FailClosedRule[];
}
