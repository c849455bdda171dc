import type { Drift } from "../files/drift";
import type { HostFacts } from "../files/snapshot";

/**
 * What can be held on a device, by the words of drawbridge-host (src/host/program/35-links.sh): sysfs's names for a bridge and
 * a port, iproute2's for the rest. `is bridge` makes the device.
 */
export type LinkWord =
  | "is"
  | "up"
  | "address"
  | "master"
  | "addresses"
  | "gateway"
  | "gateway6"
  | "vlans"
  | "stp_state"
  | "forward_delay"
  | "hello_time"
  | "max_age"
  | "ageing_time"
  | "priority"
  | "vlan_filtering"
  | "arp_ignore"
  | "disable_ipv6"
  | "isolated"
  | "learning"
  | "unicast_flood"
  | "hairpin_mode"
  | "bpdu_guard"
  | "path_cost"
  | "port_priority";

/** One thing that a resource holds on a device. The order in a list is the order in which things are set. */
export interface LinkSetting {
  /** Unique in its resource, sorts as text. */
  readonly id: string;
  readonly device: string;
  readonly word: LinkWord;
  /** As the host would print it; never contains a blank. */
  readonly value: string;
}

/** "link br0 stp_state 0": the line in the file on the host. */
export function renderLinkSetting({ device, word, value }: Omit<LinkSetting, "id">): string {
  return `link ${device} ${word} ${value}`;
}

/** Rule id to the line that will stand on the host. */
export function describeLinks(settings: readonly LinkSetting[]): Record<string, string> {
  return Object.fromEntries(settings.map((setting) => [setting.id, renderLinkSetting(setting)]));
}

/** What stands otherwise than held. What is missing takes its entry away; what is still to come (a tap, a NIC) is no drift. */
export function compareLinks(settings: readonly LinkSetting[], { live, links }: HostFacts): Drift {
  const made = new Set(settings.flatMap(({ device, word }) => (word === "is" ? [device] : [])));
  const isThere = (device: string) => links.has(device);
  // A device that somebody else makes is waited for, and so is the bridge that it shall be a port of.
  const missing = settings.flatMap(({ device, word, value }) =>
    word === "master" && !made.has(value) && !isThere(value) ? [device] : [],
  );
  const isAwaited = (device: string) => !made.has(device) && (!isThere(device) || missing.includes(device));
  return new Map(
    settings.flatMap((setting): [string, string | undefined][] => {
      const found = live.get(`${setting.device} ${setting.word}`) ?? "-";
      if (found === setting.value || isAwaited(setting.device)) return [];
      if (found === "-" && isThere(setting.device) && isMoot(setting)) return [];
      return [[setting.id, found === "-" ? undefined : renderLinkSetting({ ...setting, value: found })]];
    }),
  );
}

/** A host without IPv6, or a kernel without VLANs, has nothing to switch off. */
const isMoot = ({ word, value }: LinkSetting) =>
  (word === "disable_ipv6" && value === "1") || (word === "vlan_filtering" && value === "0");
