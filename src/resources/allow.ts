import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";
import { type Opening, withSetNames } from "./traffic";

export interface AllowArgs extends HostArgs, Opening {
  /** `input`: for the host itself; `forward`: from one interface to another one; `output`: what the host sends. */
  hook: pulumi.Input<"input" | "forward" | "output">;
  /**
   * With `hook: "forward"`: the frames that this bridge hands from port to port, in the place of packets of the IP layer. It may come later.
   * @default the IP layer
   */
  bridge?: pulumi.Input<string>;
  /**
   * Where it is asked among all allows; every phase comes behind all denies and before the final drop. One with `running: "cut"` is asked behind all of them.
   * @default "host"
   */
  phase?: pulumi.Input<"guest" | "border" | "host">;
}

/**
 * One way through a {@link DefaultDrop}, declared beside what needs it: in another module, or another stack. It only ever opens, so that neither its order among
 * others nor which came first matters. Without a default drop on its hook it waits, and nothing asks it.
 *
 * On the host: `/etc/drawbridge/nft/inet-drawbridge/50-allow-….nft`, for example
 * ```
 * ip saddr 10.0.1.0/24 udp dport 53 counter name "….allow" accept comment "20 allow.001 | names for clients"
 * ```
 * An accept is final for Drawbridge's own rules only: what Docker, ufw or firewalld drop stays dropped.
 *
 * Changes are made in place; nothing replaces the resource. An allow that is deleted closes; connections that it has opened go on as long as the default drop passes
 * what is established.
 *
 * Source: the article "Managing IPsec packets with iptables"; nft(8).
 *
 * @example
 * new Allow("dns-for-clients", { ...host, hook: "input", service: "dns", from: ["10.0.1.0/24"], in: "wirif", description: "names for clients" });
 */
export class Allow extends HostResource {
  declare readonly hook: pulumi.Output<"input" | "forward" | "output">;
  declare readonly phase: pulumi.Output<"guest" | "border" | "host">;

  constructor(name: string, args: AllowArgs, opts?: pulumi.CustomResourceOptions) {
    super("Allow", name, withSetNames(args), opts);
  }
}
