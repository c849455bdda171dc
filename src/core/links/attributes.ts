/** What is known of one attribute that can be held on a device. */
interface LinkAttributeSpec {
  /** The file in which the kernel shows and takes it; DEVICE stands for the device's name. Absent: src/host/program/35-links.sh has a way of its own. */
  readonly file?: string;
  /** What the kernel begins with: it comes back where the device was not there when the attribute was first held. "-": it has none. */
  readonly first: string;
  /** A port loses it when it leaves its bridge. */
  readonly ofPort?: true;
  /** For people: what holding it is good for. */
  readonly goodFor: string;
}

const bridge = (name: string) => `/sys/class/net/DEVICE/bridge/${name}`;
const port = (name: string) => `/sys/class/net/DEVICE/brport/${name}`;

/**
 * Every attribute, by its word in the files on hosts: sysfs's names for a bridge and a port, iproute2's for the rest. The build renders files and
 * first values into the host's program. Sources: ip-link(8), bridge(8), ip-sysctl.
 */
export const LINK_ATTRIBUTES = {
  is: { first: "-", goodFor: "the device is made where it is missing, and deleted with the resource" },
  up: { first: "-", goodFor: "the device sends and receives" },
  address: {
    first: "-",
    goodFor: "the MAC address does not change with the ports; without it a bridge takes the lowest one of theirs",
  },
  address_of: {
    first: "-",
    goodFor:
      "the bridge has the MAC address of the interface whose addresses it carries, so that leases, neighbours and switches stay true",
  },
  carries: { first: "none", goodFor: "the addresses and routes that the interface had are the bridge's" },
  configured_as: {
    first: "none",
    goodFor: "the host's own network configuration gives the bridge at boot what it gave the interface",
  },
  master: { first: "none", goodFor: "what comes in by the interface goes to the bridge" },
  addresses: {
    first: "none",
    goodFor: "these are the device's addresses and no others; `none` for one that does not speak for the host",
  },
  gateway: { first: "none", goodFor: "the host's default route" },
  gateway6: { first: "none", goodFor: "the host's default route, IPv6" },
  vlans: {
    first: "1:pvid:untagged",
    ofPort: true,
    goodFor: "the VLANs of the port; `pvid` is the one that untagged frames belong to",
  },
  stp_state: { file: bridge("stp_state"), first: "0", goodFor: "whether the bridge looks for loops and blocks ports" },
  forward_delay: {
    file: bridge("forward_delay"),
    first: "1500",
    goodFor:
      "hundredths of a second that a port listens and learns before it forwards; with STP a new port is silent for twice as long",
  },
  hello_time: {
    file: bridge("hello_time"),
    first: "200",
    goodFor: "hundredths of a second between the bridge's messages to others",
  },
  max_age: {
    file: bridge("max_age"),
    first: "2000",
    goodFor: "hundredths of a second after which another bridge that is silent is forgotten",
  },
  ageing_time: {
    file: bridge("ageing_time"),
    first: "30000",
    goodFor: "hundredths of a second after which a MAC address is forgotten; 0 floods every frame to every port",
  },
  priority: { file: bridge("priority"), first: "32768", goodFor: "which bridge becomes the root: the lowest" },
  vlan_filtering: { file: bridge("vlan_filtering"), first: "0", goodFor: "whether ports keep VLANs apart" },
  arp_ignore: {
    file: "/proc/sys/net/ipv4/conf/DEVICE/arp_ignore",
    first: "0",
    goodFor: "the host does not answer ARP here for addresses of other interfaces",
  },
  disable_ipv6: {
    file: "/proc/sys/net/ipv6/conf/DEVICE/disable_ipv6",
    first: "0",
    goodFor: "whether the host speaks IPv6 here",
  },
  isolated: {
    file: port("isolated"),
    first: "0",
    ofPort: true,
    goodFor: "an isolated port talks to ports that are not isolated, and to no other isolated one",
  },
  learning: {
    file: port("learning"),
    first: "1",
    ofPort: true,
    goodFor: "whether senders' MAC addresses are remembered at this port",
  },
  unicast_flood: {
    file: port("unicast_flood"),
    first: "1",
    ofPort: true,
    goodFor: "whether frames to unknown MAC addresses are sent out of this port",
  },
  hairpin_mode: {
    file: port("hairpin_mode"),
    first: "0",
    ofPort: true,
    goodFor: "whether a frame may go back out of the port it came in by",
  },
  bpdu_guard: {
    file: port("bpdu_guard"),
    first: "0",
    ofPort: true,
    goodFor: "the port is switched off when a bridge speaks behind it",
  },
  path_cost: {
    file: port("path_cost"),
    first: "100",
    ofPort: true,
    goodFor: "what the way through this port costs in the eyes of STP",
  },
  port_priority: {
    file: port("priority"),
    first: "32",
    ofPort: true,
    goodFor: "which of two equal ports STP prefers: the lower",
  },
} as const satisfies Readonly<Record<string, LinkAttributeSpec>>;

export type LinkAttribute = keyof typeof LINK_ATTRIBUTES;
