import type { PortRange } from "../values/ports";

/** One protocol and port of a service; a client's own port where the protocol fixes it. */
export interface ServicePort {
  readonly protocol: "tcp" | "udp";
  readonly ports: PortRange;
  readonly sourcePorts?: PortRange;
}

const tcp = (port: number): ServicePort => ({ protocol: "tcp", ports: [port, port] });
const udp = (port: number, source?: number): ServicePort => ({
  protocol: "udp",
  ports: [port, port],
  ...(source === undefined ? {} : { sourcePorts: [source, source] as const }),
});

/**
 * What `service` understands. Source: the Service Name and Transport Protocol Port Number Registry of IANA; RFC 2131, 4.1 (DHCP),
 * RFC 8415, 7.2 (DHCPv6).
 */
export const SERVICES = {
  ssh: [tcp(22)],
  dns: [udp(53), tcp(53)],
  "dns-over-tls": [tcp(853)],
  http: [tcp(80)],
  https: [tcp(443)],
  http3: [udp(443)],
  ntp: [udp(123)],
  "dhcp-server": [udp(67, 68), udp(547, 546)],
  smtp: [tcp(25)],
  submission: [tcp(587), tcp(465)],
  imaps: [tcp(993)],
  ldaps: [tcp(636)],
  kerberos: [tcp(88), udp(88)],
  nfs: [tcp(2049)],
  smb: [tcp(445)],
  syslog: [udp(514), tcp(601)],
  mysql: [tcp(3306)],
  postgresql: [tcp(5432)],
  rdp: [tcp(3389), udp(3389)],
  vnc: [tcp(5900)],
  mdns: [udp(5353)],
  wireguard: [udp(51820)],
  ike: [udp(500), udp(4500)],
} as const satisfies Record<string, readonly ServicePort[]>;

export type ServiceName = keyof typeof SERVICES;

export const SERVICE_NAMES = Object.keys(SERVICES) as [ServiceName, ...ServiceName[]];

export const portsOfService = (name: ServiceName): readonly ServicePort[] => SERVICES[name];
