import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";

export interface BridgePortArgs extends HostArgs {
  /** The bridge's name, `br0.name` where it is a resource of the program. */
  bridge: pulumi.Input<string>;
  /** The interface that becomes a port: a NIC, a veth's end, the tap of a virtual machine. It may appear later. */
  interface: pulumi.Input<string>;
  /**
   * Exchanges nothing with other isolated ports.
   * @default the kernel's: false
   */
  isolated?: pulumi.Input<boolean>;
  /**
   * Addresses that are seen here are learned; without, what is for them is flooded.
   * @default the kernel's: true
   */
  learning?: pulumi.Input<boolean>;
  /**
   * Gets copies of frames for addresses that the bridge does not know.
   * @default the kernel's: true
   */
  flood?: pulumi.Input<boolean>;
  /**
   * Frames may leave by the port that they came in by.
   * @default the kernel's: false
   */
  hairpin?: pulumi.Input<boolean>;
  /**
   * A frame of the spanning tree protocol that comes in here shuts the port: a guest has no say in the tree.
   * @default the kernel's: false
   */
  bpduGuard?: pulumi.Input<boolean>;
  /**
   * STP's path cost, `1` to `65535`.
   * @default the kernel's, by the speed of the interface
   */
  cost?: pulumi.Input<number>;
  /**
   * STP's port priority, `0` to `63`.
   * @default the kernel's: 32
   */
  priority?: pulumi.Input<number>;
  /** VLAN of untagged frames, `1` to `4094`. With `pvid` or `vids`, just these VLANs; needs `vlanFiltering` on the bridge. */
  pvid?: pulumi.Input<number>;
  /** VLANs that pass with their tag, `1` to `4094`. */
  vids?: pulumi.Input<pulumi.Input<number>[]>;
  /**
   * How long a create or update waits for the interface and the bridge, `0` to `3600`. `0`: not at all; the port is made as soon as both
   * are there, without Pulumi.
   * @default 0
   */
  waitSeconds?: pulumi.Input<number>;
}

/**
 * An interface is a port of a bridge, with just these settings, whenever it appears.
 *
 * A tap whose virtual machine is off is waited for and is no drift: udev calls drawbridge-host when it appears, and again when the
 * bridge was made anew. What is left out stays as the kernel has set it.
 *
 * On the host: `/etc/drawbridge/links/50-bridge-port-…`, for example
 * ```
 * link tap0 master br0
 * link tap0 isolated 1
 * link tap0 up 1
 * ```
 *
 * A delete puts back each setting, unless somebody changed it since. Changes are made in place; nothing replaces the resource. Refused,
 * before anything changes: an interface that is a port already and not ours (without `adopt`), one with addresses, a bridge, `lo`.
 *
 * Source: bridge(8), sysfs of the kernel's bridge ports; the articles "The Drawbridge: bridging firewall" and "Linux bridges".
 *
 * @example
 * new BridgePort("web", { ...host, bridge: "br0", interface: "tap0", isolated: true });
 */
export class BridgePort extends HostResource {
  declare readonly bridge: pulumi.Output<string>;
  declare readonly interface: pulumi.Output<string>;
  declare readonly isolated: pulumi.Output<boolean | undefined>;
  declare readonly learning: pulumi.Output<boolean | undefined>;
  declare readonly flood: pulumi.Output<boolean | undefined>;
  declare readonly hairpin: pulumi.Output<boolean | undefined>;
  declare readonly bpduGuard: pulumi.Output<boolean | undefined>;
  declare readonly cost: pulumi.Output<number | undefined>;
  declare readonly priority: pulumi.Output<number | undefined>;
  declare readonly pvid: pulumi.Output<number | undefined>;
  declare readonly vids: pulumi.Output<number[] | undefined>;
  declare readonly waitSeconds: pulumi.Output<number>;

  constructor(name: string, args: BridgePortArgs, opts?: pulumi.CustomResourceOptions) {
    super("BridgePort", name, args, opts);
  }
}
