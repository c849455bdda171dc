import { formatPorts, type PortRange } from "../../values/ports";
import { all, isBetween, isOneOf } from "./answer";
import type { MatchSpec } from "./spec";

export interface PortsMatch {
  readonly is: "destination-ports" | "source-ports";
  readonly protocol: "tcp" | "udp";
  readonly ports: PortRange;
}

export const ports: MatchSpec<PortsMatch> = {
  text: (match) => `${match.protocol} ${match.is === "destination-ports" ? "dport" : "sport"} ${formatPorts(match.ports)}`,
  words: (match) => `${match.is === "destination-ports" ? "to" : "from"} ${match.protocol} port ${formatPorts(match.ports)}`,
  key: ({ is, protocol, ports: [first, last] }) =>
    is === "destination-ports" && first === last
      ? {
          name: "port",
          type: "inet_proto . inet_service",
          bytes: 8,
          expression: "meta l4proto . th dport",
          value: `${protocol} . ${first}`,
        }
      : undefined,
  holds: ({ is, protocol, ports: range }, packet) =>
    all(
      isOneOf(packet.protocol, protocol),
      isBetween(is === "destination-ports" ? packet.destinationPort : packet.sourcePort, range),
    ),
};
