import type { Packet } from "../packet";
import type { Answer } from "./answer";
import { account, type AccountMatch } from "./account";
import { address, type AddressMatch } from "./address";
import { connection, type ConnectionMatch } from "./connection";
import { countedIn, type CountedInMatch } from "./counted-in";
import { dhcp, type DhcpMatch } from "./dhcp";
import { espInUdp, type EspInUdpMatch } from "./esp-in-udp";
import { icmp, type IcmpMatch } from "./icmp";
import { icmpv6, type Icmpv6Match } from "./icmpv6";
import { etherType, type EtherTypeMatch } from "./ether-type";
import { inSet, type InSetMatch } from "./in-set";
import { byInterface, type InterfaceMatch } from "./interface";
import { ipsecProtocol, type IpsecProtocolMatch } from "./ipsec-protocol";
import { keyExchange, type KeyExchangeMatch } from "./key-exchange";
import { laterFragment, type LaterFragmentMatch } from "./later-fragment";
import { loopback, type LoopbackMatch } from "./loopback";
import { mac, type MacMatch } from "./mac";
import { onlyBridged, type OnlyBridgedMatch } from "./only-bridged";
import { owned, type OwnedMatch } from "./owned";
import { ports, type PortsMatch } from "./ports";
import { protocol, type ProtocolMatch } from "./protocol";
import { rate, type RateMatch } from "./rate";
import { remembered, type RememberedMatch } from "./remembered";
import type { MapKey, MatchSpec, Sets } from "./spec";
import { tcp, type TcpMatch } from "./tcp";
import { thisHost, type ThisHostMatch } from "./this-host";
import { time, type TimeMatch } from "./time";
import { until, type UntilMatch } from "./until";
import { wrapped, type WrappedMatch } from "./wrapped";

/** A question to a packet. All matches of a rule must hold. */
export type Match =
  | AddressMatch
  | InSetMatch
  | CountedInMatch
  | WrappedMatch
  | IpsecProtocolMatch
  | KeyExchangeMatch
  | EspInUdpMatch
  | LoopbackMatch
  | InterfaceMatch
  | ProtocolMatch
  | IcmpMatch
  | ThisHostMatch
  | Icmpv6Match
  | DhcpMatch
  | PortsMatch
  | LaterFragmentMatch
  | ConnectionMatch
  | RememberedMatch
  | TcpMatch
  | OwnedMatch
  | TimeMatch
  | UntilMatch
  | RateMatch
  | MacMatch
  | AccountMatch
  | EtherTypeMatch
  | OnlyBridgedMatch;

/** The match of the union that may be called by a name. */
type Named<Name, Each = Match> = Each extends { readonly is: infer Own } ? (Name extends Own ? Each : never) : never;

const SPECS: { readonly [Name in Match["is"]]: MatchSpec<Named<Name>> } = {
  destination: address,
  source: address,
  "in-set": inSet,
  "counted-in": countedIn,
  wrapped,
  "ipsec-protocol": ipsecProtocol,
  "key-exchange": keyExchange,
  "esp-in-udp": espInUdp,
  loopback,
  interface: byInterface,
  protocol,
  icmp,
  "to-this-host": thisHost,
  "from-this-host": thisHost,
  icmpv6,
  "dhcp-request": dhcp,
  "dhcp-reply": dhcp,
  "destination-ports": ports,
  "source-ports": ports,
  "later-fragment": laterFragment,
  connection,
  remembered,
  tcp,
  owned,
  time,
  until,
  rate,
  mac,
  account,
  "only-bridged": onlyBridged,
  "ether-type": etherType,
};

// Found by the match's own name, so that it is the spec of just this match.
const specOf = (match: Match): MatchSpec<Match> => SPECS[match.is];

export const textOfMatch = (match: Match): string => specOf(match).text(match);
export const wordsOfMatch = (match: Match): string => specOf(match).words(match);
/** How a map finds packets for which it holds; `undefined` where only a rule can ask. */
export const keyOfMatch = (match: Match): MapKey | undefined => specOf(match).key?.(match);
/** Whether a match holds for a packet; `undefined` where that cannot be known. */
export const holdsFor = (match: Match, packet: Packet, sets: Sets): Answer => specOf(match).holds(match, packet, sets);
