import { formatInterfaceAddress } from "../values/prefix";
import type { LinkAttribute } from "./attributes";
import type { LinkSetting } from "./settings";

/** A bridge as the host's own network configuration wants to know it. */
export interface AddressedBridge {
  readonly name: string;
  readonly addresses?: readonly string[] | undefined;
  readonly gateway?: string | undefined;
  readonly gateway6?: string | undefined;
  readonly uplink?: string | undefined;
  readonly mac?: string | undefined;
  readonly stp?: boolean | undefined;
  readonly forwardDelaySeconds?: number | undefined;
  readonly helloTimeSeconds?: number | undefined;
  readonly maxAgeSeconds?: number | undefined;
  readonly ageingTimeSeconds?: number | undefined;
  readonly priority?: number | undefined;
  readonly vlanFiltering?: boolean | undefined;
}

/** What `ip link set … type bridge` takes by the same words. */
const BRIDGE_ATTRIBUTES: ReadonlySet<LinkAttribute> = new Set([
  "stp_state",
  "forward_delay",
  "hello_time",
  "max_age",
  "ageing_time",
  "priority",
  "vlan_filtering",
]);

/** interfaces(5). Commands of iproute2, so that no bridge-utils are needed and both IP versions fit in one stanza. */
export function ifupdownLines(intent: AddressedBridge, settings: readonly LinkSetting[]): string[] {
  const { name, uplink, addresses = [], gateway, gateway6 } = intent;
  const ofBridge = settings
    .filter(({ attribute }) => BRIDGE_ATTRIBUTES.has(attribute))
    .map(({ attribute, value }) => `${attribute} ${value}`);
  return [
    `auto ${name}`,
    `iface ${name} inet manual`,
    `\tpre-up ip link show dev ${name} >/dev/null 2>&1 || ip link add name ${name} type bridge`,
    ...ofBridge.map((line) => `\tpre-up ip link set dev ${name} type bridge ${line}`),
    ...(intent.mac === undefined ? [] : [`\tpre-up ip link set dev ${name} address ${intent.mac.toLowerCase()}`]),
    ...(addresses.some((address) => address.includes(":"))
      ? [`\tpre-up echo 0 >/proc/sys/net/ipv6/conf/${name}/disable_ipv6`]
      : []),
    ...(uplink === undefined ? [] : [`\tpre-up ip link set dev ${uplink} master ${name} up || true`]),
    `\tup ip link set dev ${name} up`,
    ...addresses
      .map(formatInterfaceAddress)
      .sort()
      .map((address) => `\tup ip address replace ${address}${address.includes(":") ? "" : " brd +"} dev ${name}`),
    ...(gateway === undefined ? [] : [`\tup ip -4 route add default via ${gateway} dev ${name} proto static || true`]),
    ...(gateway6 === undefined ? [] : [`\tup ip -6 route add default via ${gateway6} dev ${name} proto static || true`]),
    `\tpost-down ip link delete dev ${name}`,
  ];
}

/** systemd.netdev(5) and systemd.network(5). */
export function networkdLines(intent: AddressedBridge): [string[], string[], ...string[][]] {
  const { name, uplink, addresses = [], gateway, gateway6 } = intent;
  const line = (key: string, value: string | number | boolean | undefined) =>
    value === undefined ? [] : [`${key}=${typeof value === "boolean" ? (value ? "yes" : "no") : value}`];
  const netdev = [
    "[NetDev]",
    `Name=${name}`,
    "Kind=bridge",
    ...line("MACAddress", intent.mac?.toLowerCase()),
    "[Bridge]",
    ...line("STP", intent.stp ?? false),
    ...line("ForwardDelaySec", intent.forwardDelaySeconds),
    ...line("HelloTimeSec", intent.helloTimeSeconds),
    ...line("MaxAgeSec", intent.maxAgeSeconds),
    ...line("AgeingTimeSec", intent.ageingTimeSeconds),
    ...line("Priority", intent.priority),
    ...line("VLANFiltering", intent.vlanFiltering),
  ];
  const network = [
    "[Match]",
    `Name=${name}`,
    "[Network]",
    "ConfigureWithoutCarrier=yes",
    ...addresses
      .map(formatInterfaceAddress)
      .sort()
      .flatMap((address) => line("Address", address)),
    ...line("Gateway", gateway),
    ...line("Gateway", gateway6),
  ];
  if (uplink === undefined) return [netdev, network];
  return [netdev, network, ["[Match]", `Name=${uplink}`, "[Network]", `Bridge=${name}`]];
}
