import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";

export interface AddressSetArgs extends HostArgs {
  /** The name by which rules of every stack find it on this host: up to `31` letters, digits, `_` and `-`. A host has one of a name. */
  name: pulumi.Input<string>;
  /**
   * Addresses and prefixes, IPv4 and IPv6. What lies in another one adds nothing and is left out.
   * @default []
   */
  addresses?: pulumi.Input<pulumi.Input<string>[]>;
}

/**
 * A pool of addresses, named by {@link Allow}, {@link Deny} and the entries of a {@link DefaultDrop}. A change of it changes elements, and touches no rule that names it.
 *
 * On the host: `/etc/drawbridge/nft/inet-drawbridge/50-address-set-….nft`, with a set for single addresses (found by their hash) and one for prefixes, of each IP
 * version, in the table `inet drawbridge`, for example
 * ```
 * set set.office.ipv4.addresses {
 * 	type ipv4_addr
 * }
 * ```
 * As long as nobody declares a set that a rule names, an allow lets nobody through by it, and a deny denies everybody; refresh and status name what waits.
 *
 * Changes are made in place; nothing replaces the resource. A set that rules still name is not deleted: the error names them.
 *
 * Source: the article "Drawbridge: a bridging firewall" (its ipset); nft(8), sets.
 *
 * @example
 * new AddressSet("office", { ...host, name: "office", addresses: ["192.168.0.5", "192.168.0.17", "192.168.0.18"] });
 */
export class AddressSet extends HostResource {
  declare readonly name: pulumi.Output<string>;
  declare readonly addresses: pulumi.Output<string[]>;

  constructor(name: string, args: AddressSetArgs, opts?: pulumi.CustomResourceOptions) {
    super("AddressSet", name, args, opts);
  }
}
