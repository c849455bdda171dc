import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";

export interface BridgeArgs extends HostArgs {
  /** The bridge's name on the host, 1 to 15 characters: `"br0"`. A change of it makes the new one and takes the old one away. */
  name: pulumi.Input<string>;
  /**
   * A NIC that leads outside and becomes a port of the bridge, as soon as it is there. It must not have addresses of its own,
   * since in a bridge they no longer work, unless `moveAddresses` moves them.
   */
  uplink?: pulumi.Input<string>;
  /**
   * Move what `uplink` has, its addresses (IPv4 and IPv6) and the routes by it, to the bridge in one step, over the very session
   * that uses them; the bridge gets its MAC address too, unless `mac` says another. What the host's own network configuration
   * (ifupdown or systemd-networkd) gave the NIC, it gives the bridge from then on. Delete gives everything back, configuration
   * files byte for byte. Not together with `addresses`, `gateway`, `gateway6`, `stp` or `adopt`.
   * @default false: an uplink with addresses is refused
   */
  moveAddresses?: pulumi.Input<boolean>;
  /**
   * Spanning tree protocol (IEEE 802.1D). With it a port forwards nothing for twice `forwardDelaySeconds` after it has appeared.
   * @default the kernel's: off
   */
  stp?: pulumi.Input<boolean>;
  /**
   * Whole seconds, `0` to `30`; with `stp` at least `2`.
   * @default the kernel's: 15, which has no effect without `stp`
   */
  forwardDelaySeconds?: pulumi.Input<number>;
  /**
   * Whole seconds between STP's hello messages, `1` to `10`.
   * @default the kernel's: 2
   */
  helloTimeSeconds?: pulumi.Input<number>;
  /**
   * Whole seconds after which STP gives a silent neighbour up, `6` to `40`.
   * @default the kernel's: 20
   */
  maxAgeSeconds?: pulumi.Input<number>;
  /**
   * Whole seconds after which a MAC address that was not seen is forgotten, `0` to `1000000`. `0` makes a hub of the bridge:
   * everything is sent to every port.
   * @default the kernel's: 300
   */
  ageingTimeSeconds?: pulumi.Input<number>;
  /**
   * STP's bridge priority, `0` to `65535`; the lowest becomes the root.
   * @default the kernel's: 32768
   */
  priority?: pulumi.Input<number>;
  /** The bridge's MAC address. Left out, it follows the lowest one of its ports, and changes with them. */
  mac?: pulumi.Input<string>;
  /**
   * Keep VLANs apart (IEEE 802.1Q); ports say which in `pvid` and `vids`. Needs a kernel with CONFIG_BRIDGE_VLAN_FILTERING, as
   * Debian's; refused where there is none.
   * @default the kernel's: off
   */
  vlanFiltering?: pulumi.Input<boolean>;
  /**
   * The host's own addresses on the bridge, `"10.0.0.1/24"`. `[]`, and left out without `adopt`: none, and then the bridge
   * answers neither ARP nor IPv6 for the host. Left out with `adopt`: as found.
   */
  addresses?: pulumi.Input<pulumi.Input<string>[]>;
  /** The host's default route by the bridge, IPv4; in a network of `addresses`. */
  gateway?: pulumi.Input<string>;
  /** The same, IPv6; in a network of `addresses`, or link-local. */
  gateway6?: pulumi.Input<string>;
}

/**
 * A Linux bridge, made or (`adopt`) taken over, with just these settings.
 *
 * What is left out stays as the kernel, or whoever made the bridge, has set it. Each setting is one line; it is put back by
 * itself when it is taken out of the program or the resource is deleted, unless somebody changed it since. A bridge that was made
 * is deleted with the resource, unless it has ports that are not ours: then it stays, and a warning names them.
 *
 * On the host: a bridge without addresses stands in `/etc/drawbridge/links/10-bridge-…`, which is loaded at boot and when devices
 * appear, for example
 * ```
 * link br0 is bridge
 * link br0 stp_state 0
 * link br0 ageing_time 30000
 * link br0 arp_ignore 1
 * link br0 disable_ipv6 1
 * link br0 up 1
 * link eth0 master br0
 * ```
 * (times in 1/100 s). One with addresses stands in the host's own configuration, and only there:
 * `/etc/systemd/network/05-drawbridge-bridge-….netdev` and `.network` where systemd-networkd is enabled, else
 * `/etc/network/interfaces.d/drawbridge-bridge-…` where ifupdown reads that folder; the resource's line says which. Refused
 * where there is neither, and where that configuration names the bridge already (unless it is adopted without `addresses`).
 *
 * With `moveAddresses` the bridge stands in `/etc/drawbridge/links` and its addresses in the host's own configuration: ifupdown's file
 * has the bridge where it had the uplink (the former one is kept on the host, and put back unless somebody has changed it since);
 * systemd-networkd gets `/etc/systemd/network/05-drawbridge-moved-….netdev`, `.network` and `-uplink.network`, which come before the
 * former one. Three entries stand for it: `link br0 address_of eth0`, `link br0 carries eth0` (with `:lacks:…` or `:has:…` where an
 * address or a route is missing on the bridge, or is on the uplink again) and `link br0 configured_as eth0`. Undone by the host where you cannot
 * connect anew. Refused: netplan, NetworkManager, addresses that stand in no configuration, a DHCP client that is neither dhclient nor
 * systemd-networkd. `name` and `uplink` of such a bridge are changed in two steps: give the addresses back, then move them again.
 *
 * Changes are made in place; nothing replaces the resource. Refused, before anything changes: a bridge or a port that is there
 * and not ours (without `adopt`), an uplink with addresses (without `moveAddresses`), a setting that another resource holds with another value.
 *
 * Source: ip-link(8), ip-address(8), ip-route(8), interfaces(5), systemd.network(5), sysfs of the kernel's bridge, ip-sysctl (arp_ignore); the articles "The Drawbridge: bridging firewall" and
 * "Linux bridges".
 *
 * @example
 * new Bridge("guests", { ...host, name: "br0", uplink: "eth1", ageingTimeSeconds: 300 }, { protect: true });
 * // The only NIC, over which Pulumi itself comes:
 * new Bridge("outside", { ...host, name: "br1", uplink: "eth0", moveAddresses: true }, { protect: true });
 */
export class Bridge extends HostResource {
  declare readonly name: pulumi.Output<string>;
  declare readonly uplink: pulumi.Output<string | undefined>;
  declare readonly moveAddresses: pulumi.Output<boolean | undefined>;
  declare readonly stp: pulumi.Output<boolean | undefined>;
  declare readonly forwardDelaySeconds: pulumi.Output<number | undefined>;
  declare readonly helloTimeSeconds: pulumi.Output<number | undefined>;
  declare readonly maxAgeSeconds: pulumi.Output<number | undefined>;
  declare readonly ageingTimeSeconds: pulumi.Output<number | undefined>;
  declare readonly priority: pulumi.Output<number | undefined>;
  declare readonly mac: pulumi.Output<string | undefined>;
  declare readonly vlanFiltering: pulumi.Output<boolean | undefined>;
  declare readonly addresses: pulumi.Output<string[] | undefined>;
  declare readonly gateway: pulumi.Output<string | undefined>;
  declare readonly gateway6: pulumi.Output<string | undefined>;

  constructor(name: string, args: BridgeArgs, opts?: pulumi.CustomResourceOptions) {
    super("Bridge", name, args, opts);
  }
}
