import { formatPorts, type PortRange } from "../../values/ports";
import type { MatchSpec } from "./spec";

export interface PortsMatch {
  readonly is: "destination-ports" | "source-ports";
  readonly protocol: "tcp" | "udp";
  readonly ports: PortRange;
}

export const ports: MatchSpec<PortsMatch> = {
  text: (match) => `${match.protocol} ${match.is === "destination-ports" ? "dport" : "sport"} ${formatPorts(match.ports)}`,
  words: (match) => `${match.is === "destination-ports" ? "to" : "from"} ${match.protocol} port ${formatPorts(match.ports)}`,
};
