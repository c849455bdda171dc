import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";

export interface OutputGuardArgs extends HostArgs {
  /** The guarded remote ports, 1 to 65535: numbers, or ranges like `"20001-20010"`. */
  ports: pulumi.Input<pulumi.Input<number | string>[]>;
  /** @default "tcp" */
  protocol?: pulumi.Input<"tcp" | "udp">;
  /**
   * Guard these ports only where they belong to these remote addresses or prefixes. A server with addresses of both IP versions
   * needs both.
   * @default every address, IPv4 and IPv6
   */
  addresses?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * `"drop"`: root, too, needs a UserOutputChain.
   * @default "pass"
   */
  root?: pulumi.Input<"pass" | "drop">;
  /**
   * What becomes of a connection that is open when its window closes, its rule goes, or the guard comes: `"cut"` judges every
   * packet, so that the connection hangs and times out; `"keep"` judges only how a connection begins. `"cut"` for TCP needs Linux 5.16. UDP
   * has no first packet that could be told from others: for `"keep"` a flow begins where the guard first sees it, and after
   * `"cut"` one goes on as an answer where the other end is heard first.
   * @default "cut"
   */
  openConnections?: pulumi.Input<"cut" | "keep">;
  /**
   * `"log"` counts and logs what would be dropped and lets it pass: a rehearsal.
   * @default "drop"
   */
  mode?: pulumi.Input<"drop" | "log">;
}

/**
 * Only users whom a {@link UserOutputChain} allows it open connections to the guarded ports; what everybody else sends there is
 * counted, logged with the sender's uid, and dropped. IPv4 and IPv6. What stays on the host and answers to connections from outside
 * pass. With destination NAT, what is judged is where a packet really goes.
 *
 * The owner of a packet is the effective user, and the group the effective group, of the process that made the socket: a program
 * started by `sudo -u other -g group` counts as theirs. Programs in containers have uids of their own, and what is forwarded has no
 * owner at all: a guard sees the host's own packets only.
 *
 * With `"cut"`, what a program has written when it ends is sent on only where all its packets had passed; and a connection from
 * outside whose beginning the guard has not seen, since it is older than the guard, is judged as if it had begun here. The guard
 * keeps its memory of connections in two of conntrack's labels, 126 and 127, for others' rules to leave alone.
 *
 * On the host: `/etc/drawbridge/nft/inet-drawbridge/50-output-guard-….nft`, for example
 * ```
 * tcp dport 20001-20010 goto ….asked comment "20 guard tcp 20001-20010"
 * meta skuid vmap @users comment "40 ask the user's rules"
 * ct state new counter name "….denied" goto ….leak comment "50 deny new connections"
 * ```
 * However many users have rules, packets to other ports meet one rule for each range and address of the guard.
 *
 * Changes are made in place; nothing replaces the resource.
 *
 * Source: the article "VM and user specific restrictions for remote-viewer connections"; nft(8), `meta skuid`.
 *
 * @example
 * new OutputGuard("spice", { ...host, ports: ["20001-20010"], addresses: ["192.168.2.2"] });
 */
export class OutputGuard extends HostResource {
  declare readonly ports: pulumi.Output<(number | string)[]>;
  declare readonly protocol: pulumi.Output<"tcp" | "udp">;
  declare readonly addresses: pulumi.Output<string[]>;
  declare readonly root: pulumi.Output<"pass" | "drop">;
  declare readonly openConnections: pulumi.Output<"cut" | "keep">;
  declare readonly mode: pulumi.Output<"drop" | "log">;

  constructor(name: string, args: OutputGuardArgs, opts?: pulumi.CustomResourceOptions) {
    super("OutputGuard", name, args, opts);
  }
}
