import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";
import { type Traffic, withSetNames } from "./traffic";

export interface DenyArgs extends HostArgs, Traffic {
  /** `input`: for the host itself; `forward`: from one interface to another one; `output`: what the host sends. */
  hook: pulumi.Input<"input" | "forward" | "output">;
  /**
   * With `hook: "forward"`: the frames that this bridge hands from port to port, in the place of packets of the IP layer. It may come later.
   * @default the IP layer
   */
  bridge?: pulumi.Input<string>;
  /**
   * `"log"` counts and logs what would be dropped and lets it pass: a rehearsal.
   * @default "drop"
   */
  mode?: pulumi.Input<"drop" | "log">;
  /**
   * Applies what would drop the SSH connection in use; when nobody comes through, the host rolls it back after `confirmDeadlineSeconds`.
   * With `bridge`, also what would judge the frames of other bridges, because the kernel does not tell them apart (it has no nft_meta_bridge).
   * @default false
   */
  force?: pulumi.Input<boolean>;
}

/**
 * Packets that are dropped before anything can allow them, those of open connections too. Stands with or without a {@link DefaultDrop}.
 * One on `input` or `output` that would drop the SSH connection in use is refused before anything is applied, unless `force` is set; who is in an
 * {@link AddressSet} is not known then.
 *
 * On the host: `/etc/drawbridge/nft/inet-drawbridge/50-deny-….nft`, for example
 * ```
 * ip saddr 192.0.2.66 counter name "….deny" drop comment "20 deny"
 * ```
 * Where the table does not load at boot, what is denied by literal addresses is dropped all the same; of an {@link AddressSet} nobody knows then who is in it. A set that nobody
 * declares (its file is gone from the host, say) denies everybody but what a {@link DefaultDrop} on `input` or `output` of the host lets pass where the table does not load: the management,
 * loopback, neighbour discovery and DHCP. Without one, nobody says who the administrator is, and he is denied, too.
 *
 * Changes are made in place; nothing replaces the resource.
 *
 * Source: the article "Drawbridge: a bridging firewall" ("block a few suspicious computers"); nft(8).
 *
 * @example
 * new Deny("suspicious", { ...host, hook: "forward", from: ["192.0.2.66"], log: true });
 */
export class Deny extends HostResource {
  declare readonly hook: pulumi.Output<"input" | "forward" | "output">;
  declare readonly mode: pulumi.Output<"drop" | "log">;

  constructor(name: string, args: DenyArgs, opts?: pulumi.CustomResourceOptions) {
    super("Deny", name, withSetNames(args), opts);
  }
}
