import type { Drift } from "../files/drift";
import { renderSetting, type Setting, type SettingsOf } from "../files/settings";
import type { HostFacts } from "../files/snapshot";

/**
 * What can be held on a device, by its words in drawbridge-host (src/host/program/35-links.sh): sysfs's names for a bridge and
 * a port, iproute2's for the rest. `is bridge` makes the device.
 */
export type LinkAttribute =
  | "is"
  | "up"
  | "address"
  | "address_of"
  | "carries"
  | "configured_as"
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

/** One attribute that a resource holds on a device. */
export interface LinkSetting extends Setting {
  readonly kind: "link";
  readonly attribute: LinkAttribute;
}

/** What stands otherwise than held. What is missing takes its entry away; what is still to come (a tap, a NIC) is no drift. */
function compareLinks(settings: readonly LinkSetting[], { live, links }: HostFacts): Drift {
  const made = new Set(settings.flatMap(({ subject, attribute }) => (attribute === "is" ? [subject] : [])));
  const isThere = (device: string) => links.has(device);
  // A device that somebody else makes is waited for, and so is the bridge that it shall be a port of.
  const missing = settings.flatMap(({ subject, attribute, value }) =>
    attribute === "master" && !made.has(value) && !isThere(value) ? [subject] : [],
  );
  const isAwaited = (device: string) => !made.has(device) && (!isThere(device) || missing.includes(device));
  return new Map(
    settings.flatMap((setting): [string, string | undefined][] => {
      const found = live.get(`${setting.subject} ${setting.attribute}`) ?? "-";
      if (found === setting.value || isAwaited(setting.subject)) return [];
      if (found === "-" && isThere(setting.subject) && isMoot(setting)) return [];
      return [[setting.id, found === "-" ? undefined : renderSetting({ ...setting, value: found })]];
    }),
  );
}

/** A host without IPv6, or a kernel without VLANs, has nothing to switch off. */
const isMoot = ({ attribute, value }: LinkSetting) =>
  (attribute === "disable_ipv6" && value === "1") || (attribute === "vlan_filtering" && value === "0");

export const settingsOfLinks: SettingsOf<LinkSetting> = {
  domain: "links",
  compare: compareLinks,
  explain: (settings) => Object.fromEntries(settings.map(({ id, attribute }) => [id, GOOD_FOR[attribute]])),
};

// Source: ip-link(8), bridge(8), ip-sysctl.
const GOOD_FOR: Record<LinkAttribute, string> = {
  is: "the device is made where it is missing, and deleted with the resource",
  up: "the device sends and receives",
  address: "the MAC address does not change with the ports; without it a bridge takes the lowest one of theirs",
  address_of:
    "the bridge has the MAC address of the interface whose addresses it carries, so that leases, neighbours and switches stay true",
  carries: "the addresses and routes that the interface had are the bridge's",
  configured_as: "the host's own network configuration gives the bridge at boot what it gave the interface",
  master: "what comes in by the interface goes to the bridge",
  addresses: "these are the device's addresses and no others; `none` for one that does not speak for the host",
  gateway: "the host's default route",
  gateway6: "the host's default route, IPv6",
  vlans: "the VLANs of the port; `pvid` is the one that untagged frames belong to",
  stp_state: "whether the bridge looks for loops and blocks ports",
  forward_delay:
    "hundredths of a second that a port listens and learns before it forwards; with STP a new port is silent for twice as long",
  hello_time: "hundredths of a second between the bridge's messages to others",
  max_age: "hundredths of a second after which another bridge that is silent is forgotten",
  ageing_time: "hundredths of a second after which a MAC address is forgotten; 0 floods every frame to every port",
  priority: "which bridge becomes the root: the lowest",
  vlan_filtering: "whether ports keep VLANs apart",
  arp_ignore: "the host does not answer ARP here for addresses of other interfaces",
  disable_ipv6: "whether the host speaks IPv6 here",
  isolated: "an isolated port talks to ports that are not isolated, and to no other isolated one",
  learning: "whether senders' MAC addresses are remembered at this port",
  unicast_flood: "whether frames to unknown MAC addresses are sent out of this port",
  hairpin_mode: "whether a frame may go back out of the port it came in by",
  bpdu_guard: "the port is switched off when a bridge speaks behind it",
  path_cost: "what the way through this port costs in the eyes of STP",
  port_priority: "which of two equal ports STP prefers: the lower",
};
