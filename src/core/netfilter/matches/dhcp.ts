import type { MatchSpec } from "./spec";

export interface DhcpMatch {
  readonly is: "dhcp-request" | "dhcp-reply";
  readonly version: 4 | 6;
}

const PORTS = { 4: { protocol: "ip", client: 68, server: 67 }, 6: { protocol: "ip6", client: 546, server: 547 } } as const;

export const dhcp: MatchSpec<DhcpMatch> = {
  text: ({ is, version }) => {
    const { protocol, client, server } = PORTS[version];
    const [from, to] = is === "dhcp-request" ? [client, server] : [server, client];
    return `meta protocol ${protocol} udp sport ${from} udp dport ${to}`;
  },
  words: ({ is, version }) =>
    `DHCP${version === 6 ? "v6" : ""} ${is === "dhcp-request" ? "requests" : "replies"}, without which leases end`,
};
