import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";

export interface AddressSetArgs extends HostArgs {
  /** The name by which rules of every stack find it on this host: up to `31` letters, digits, `_` and `-`. A host has one of a name. */
  name: pulumi.Input<string>;
  /**
   * Addresses and prefixes, IPv4 and IPv6. What lies in another one adds nothing and is left out. At most 10,000 prefixes; single addresses have no bound.
   * Of more than 64, `rules` and previews have one entry for all.
   * @default []
   */
  addresses?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * In the place of `addresses`: the path of a text file, from the folder of `Pulumi.yaml`, with an address or a prefix a line; `#` begins a comment. The state then holds
   * how many they are and a digest, whatever their number. A line that is neither is refused with its number.
   */
  file?: pulumi.Input<string>;
  /**
   * {@link LeakFence}s name it in their exceptions: then it also stands in the tables of bridges and devices.
   * @default false
   */
  fences?: pulumi.Input<boolean>;
}

/** The file that an {@link AddressSet} was made of. */
export interface AddressSetFile {
  readonly path: string;
  readonly addresses: number;
  readonly prefixes: number;
  /** SHA-256 of what was read, in order and without comments. */
  readonly digest: string;
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
 * More than 2,048 elements are spread over up to 64 such files, by a hash of each, so that one more sends, tries and keeps one of them; those that stay are compared by their digests.
 *
 * As long as nobody declares a set that a rule names, an allow lets nobody through by it, and a deny denies everybody; refresh and status name what waits.
 *
 * Changes are made in place; nothing replaces the resource. A set that rules still name is not deleted: the error names them.
 *
 * Source: the article "Drawbridge: a bridging firewall" (its ipset); nft(8), sets.
 *
 * @example
 * new AddressSet("office", { ...host, name: "office", addresses: ["192.168.0.5", "192.168.0.17", "192.168.0.18"] });
 * new AddressSet("blocked", { ...host, name: "blocked", file: "blocked.txt" });
 */
export class AddressSet extends HostResource {
  declare readonly name: pulumi.Output<string>;
  declare readonly addresses: pulumi.Output<string[]>;
  declare readonly fences: pulumi.Output<boolean>;
  /** What was read: the path, how many `addresses` and `prefixes`, and their `digest`. */
  declare readonly file: pulumi.Output<AddressSetFile | undefined>;

  constructor(name: string, args: AddressSetArgs, opts?: pulumi.CustomResourceOptions) {
    super("AddressSet", name, args, opts);
  }
}
