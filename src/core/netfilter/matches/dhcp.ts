import { all, isOneOf } from "./answer";
import { hasTransportHeader } from "./later-fragment";
import type { MatchSpec } from "./spec";

export interface DhcpMatch {
  readonly is: "dhcp-request" | "dhcp-reply";
  readonly version: 4 | 6;
}

const PROTOCOL = { 4: "ip", 6: "ip6" } as const;
const PORTS = { 4: { client: 68, server: 67 }, 6: { client: 546, server: 547 } } as const;

function portsOf(is: DhcpMatch["is"], version: 4 | 6) {
  const { client, server } = PORTS[version];
  return is === "dhcp-request" ? { from: client, to: server } : { from: server, to: client };
}

export const dhcp: MatchSpec<DhcpMatch> = {
  text: ({ is, version }) => {
    const { from, to } = portsOf(is, version);
    return `meta protocol ${PROTOCOL[version]} udp sport ${from} udp dport ${to}`;
  },
  words: ({ is, version }) =>
    `DHCP${version === 6 ? "v6" : ""} ${is === "dhcp-request" ? "requests" : "replies"}, without which leases end`,
  holds: ({ is, version }, packet) => {
    const { from, to } = portsOf(is, version);
    return all(
      hasTransportHeader(packet),
      packet.version === version,
      isOneOf(packet.protocol, "udp"),
      isOneOf(packet.sourcePort, from),
      isOneOf(packet.destinationPort, to),
    );
  },
};
