import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";
import type { Network, PrefixException } from "./leak-fence";

export interface IpsecPolicyDropArgs extends HostArgs {
  /**
   * What lies behind the tunnel: prefixes and presets, as LeakFence takes them. `["0.0.0.0/0", "::/0"]` with `interface` set
   * lets nothing but the tunnel itself leave by that interface.
   */
  networks: pulumi.Input<pulumi.Input<Network>[]>;
  /**
   * `"out"`: packets to `networks`; `"in"`: packets from them.
   * @default "both"
   */
  direction?: pulumi.Input<"both" | "out" | "in">;
  /**
   * Only packets that leave or arrive by this interface. Inside a tunnel, too, a packet leaves by the interface that carries it.
   * @default every interface but `lo`
   */
  interface?: pulumi.Input<string>;
  /**
   * What may pass without a tunnel all the same: `to` for packets that leave, `from` for those that arrive.
   * @default []
   */
  exceptions?: pulumi.Input<pulumi.Input<PrefixException>[]>;
  /**
   * Only the tunnel of this request id will do (`reqid` of `ip xfrm policy`), 1 to 4294967295.
   * @default any policy
   */
  reqid?: pulumi.Input<number>;
  /**
   * Only a tunnel that begins at this address of the host, and what carries a tunnel only from and to it. In transport mode there is
   * none, and nothing would pass.
   */
  localEndpoint?: pulumi.Input<string>;
  /**
   * Only a tunnel that ends at this address, and what carries a tunnel only to and from it. Give it where the gateway itself lies in
   * `networks`: without it ESP that passes NAT inside UDP is refused, and a masqueraded guest's ESP, or what comes to UDP port 500 or
   * 4500, is taken for the host's own. In transport mode there is none, and nothing would pass.
   */
  remoteEndpoint?: pulumi.Input<string>;
  /**
   * `"log"` counts and logs and lets pass: a rehearsal.
   * @default "drop"
   */
  mode?: pulumi.Input<"drop" | "log">;
}

/**
 * What belongs inside an IPsec tunnel does not travel without one: packets to the networks that no policy will wrap, and packets
 * from them that came unwrapped, are counted, logged and dropped. Forwarded packets and the host's own, IPv4 and IPv6, tunnel and
 * transport mode.
 *
 * What leaves is judged after source NAT, what arrives before destination NAT. The host's own neighbour discovery, DHCP, ESP, AH and
 * key exchange (UDP 500 and 4500, from a socket of root's) always pass. What is forwarded for guests is judged by its addresses; see
 * `remoteEndpoint` for the one exception.
 *
 * On the host: `/etc/drawbridge/nft/inet-drawbridge/50-ipsec-policy-drop-….nft`, for example
 * ```
 * rt ipsec exists return comment "18 out pass what the tunnel wraps"
 * ip daddr 10.77.0.0/16 counter name "….out.10.77.0.0/16" goto ….leak comment "19 out deny to 10.77.0.0/16"
 * ip saddr 10.77.0.0/16 counter name "….in.10.77.0.0/16" goto ….leak comment "59 in deny from 10.77.0.0/16"
 * ```
 * Changes are made in place; nothing replaces the resource. Refused: a kernel without IPsec, where everything would be dropped.
 *
 * Source: the article "How to avoid leakage of packets addressed to/from private IP space"; ip-xfrm(8), nft(8).
 *
 * @example
 * new IpsecPolicyDrop("vpn-clients", {
 *   ...host,
 *   networks: ["10.77.0.0/16", "fd77::/64"],
 * });
 */
export class IpsecPolicyDrop extends HostResource {
  declare readonly networks: pulumi.Output<string[]>;
  declare readonly direction: pulumi.Output<"both" | "out" | "in">;
  declare readonly interface: pulumi.Output<string | undefined>;
  declare readonly exceptions: pulumi.Output<{ cidr: string; direction: "to" | "from"; description?: string }[]>;
  declare readonly reqid: pulumi.Output<number | undefined>;
  declare readonly localEndpoint: pulumi.Output<string | undefined>;
  declare readonly remoteEndpoint: pulumi.Output<string | undefined>;
  declare readonly mode: pulumi.Output<"drop" | "log">;

  constructor(name: string, args: IpsecPolicyDropArgs, opts?: pulumi.CustomResourceOptions) {
    super("IpsecPolicyDrop", name, args, opts);
  }
}
