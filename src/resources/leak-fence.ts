import type * as pulumi from "@pulumi/pulumi";
import type { NetworkPreset } from "../core/values/networks";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";

/** A prefix like `"10.0.0.0/8"`, or the name of a list of networks. */
export type Network = NetworkPreset | (string & {});

/** A port of a bridge. */
export interface BridgePortUplink {
  /** The port that leads outside, e.g. `"eth0"`. */
  interface: pulumi.Input<string>;
  /** The bridge that it belongs to, e.g. `"br0"`. */
  bridge: pulumi.Input<string>;
}

/** Addresses that may leave all the same. */
export interface PrefixException {
  /** A prefix or an address, IPv4 or IPv6: `"10.0.5.1/32"`. */
  cidr: pulumi.Input<string>;
  /** `"to"`: packets with this destination; `"from"`: packets with this source. */
  direction: pulumi.Input<"to" | "from">;
  /** Stands beside the rule on the host; up to 60 printable characters. */
  description?: pulumi.Input<string>;
}

/** A set of addresses that may leave all the same. */
export interface SetException extends Omit<PrefixException, "cidr"> {
  /** The name of an AddressSet that has `fences: true`: `office.name`. As long as nobody declares it on this host, nothing is excepted by it. */
  set: pulumi.Input<string>;
}

/** What may leave all the same. */
export type LeakFenceException = PrefixException | SetException;

export interface LeakFenceArgs extends HostArgs {
  /**
   * The interface that leads outside: its name (`1` to `15` characters), or `{ interface, bridge }` where it is a port of a
   * bridge. It may appear later than the rules. A bridge itself is refused: a rule for it would see nothing.
   */
  uplink: pulumi.Input<pulumi.Input<string> | BridgePortUplink>;
  /**
   * Prefixes, and presets from the special-purpose registries (RFC 6890): `rfc1918`, `ula`, `cgnat`, `linklocal`,
   * `unspecified`, `loopback`, `documentation`, `benchmarking`, `protocol`, `embedded`, `reserved`, or `special-purpose` for all;
   * docs/presets.md lists them.
   * Each is fenced as a destination and as a source.
   */
  networks: pulumi.Input<pulumi.Input<Network>[]>;
  /**
   * What may leave all the same. An exception for one direction says nothing about a packet's other address: a host whose own
   * address is private needs it `from`, and still reaches no private destination.
   * @default []
   */
  exceptions?: pulumi.Input<pulumi.Input<LeakFenceException>[]>;
  /**
   * `"log"` counts and logs leaks and lets them pass: a rehearsal.
   * @default "drop"
   */
  mode?: pulumi.Input<"drop" | "log">;
  /**
   * The second, independent line in the device's egress hook, which raw frames meet too (as long as their sender states
   * their protocol truly). It needs Linux 5.16 and nftables
   * 1.0.1; set `false` on older hosts, where one line must do.
   * @default true
   */
  egress?: pulumi.Input<boolean>;
}

/**
 * Packets of private networks do not leave the uplink, whatever bug, feature or misconfiguration sends them there.
 *
 * Two independent lines, each by destination and by source, both IP versions: the IP layer after source NAT (`inet`
 * postrouting; where the uplink is a port, `bridge` postrouting) and the device itself (`netdev` egress). Packets that an
 * IPsec policy will still wrap pass. What a link needs to work always passes, as far as the link: ARP, neighbour discovery (hop limit
 * 255), MLD (hop limit 1), the host's own DHCP requests, and those of guests on a bridge to all on the link. A packet
 * behind one VLAN tag (802.1Q) is judged at the bridge and the device; QinQ, PPPoE and tunnels are not.
 *
 * On the host: `/etc/drawbridge/nft/<family>-drawbridge/50-leak-fence-….nft`, loaded into the tables `inet`, `bridge` and
 * `netdev drawbridge`, for example
 * ```
 * ip daddr @….except-to.ipv4 goto ….from comment "10 except to the IPv4 exceptions"
 * counter name ip daddr map @….to.ipv4 goto ….leak comment "20 deny to the IPv4 networks"
 * ```
 * where the map leads each network to its own counter (`10.0.0.0/8 : "….to.10.0.0.0/8"`), so that a packet meets the same few rules
 * however many networks there are (64 or more of one length have a map of their own, `ip daddr & 255.255.255.0 map @….to.ipv4.24`); and `….leak` logs at most ten lines a minute and drops. Counters keep their values over reloads and changes.
 *
 * The output `rules` has an entry for each network and each exception, with the tables in which it stands, and `common` for the rest;
 * `drawbridge explain` shows each line. An exception that lies in another one of its direction has no entry: it adds nothing.
 *
 * Changes are made in place; nothing replaces the resource, and no change opens the fence for a moment. Refused, before
 * anything changes: a fence over the interface's own address, the SSH peer, or resolvers, time and DHCP servers in use (the
 * error prints the exception that is missing), an interface of another nature than `uplink` says.
 *
 * Source: the article "How to avoid leakage of packets addressed to/from private IP space".
 *
 * @example
 * new LeakFence("private-stays-inside", {
 *   ...host,
 *   uplink: "eth0",
 *   networks: ["rfc1918", "ula"],
 *   exceptions: [{ cidr: "10.0.5.1/32", direction: "to", description: "the provider's time server" }],
 * });
 */
export class LeakFence extends HostResource {
  declare readonly uplink: pulumi.Output<string | { interface: string; bridge: string }>;
  declare readonly networks: pulumi.Output<string[]>;
  declare readonly exceptions: pulumi.Output<{ cidr?: string; set?: string; direction: "to" | "from"; description?: string }[]>;
  declare readonly mode: pulumi.Output<"drop" | "log">;
  declare readonly egress: pulumi.Output<boolean>;

  constructor(name: string, args: LeakFenceArgs, opts?: pulumi.CustomResourceOptions) {
    super("LeakFence", name, args, opts);
  }
}
