import * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";
import { type Opening, withSetNames } from "./traffic";

/** How the administrator reaches the host. */
export interface Management {
  /** Addresses and prefixes that SSH connections come from. */
  sources: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * The port of sshd on the host itself, whatever a router forwards to it.
   * @default 22
   */
  port?: pulumi.Input<number>;
}

/** Only to these. */
export interface Servers {
  /** Addresses and prefixes. */
  servers: pulumi.Input<pulumi.Input<string>[]>;
}

/** What a host needs to work, each of it on unless switched off. ICMP type 3 and ICMPv6 type 2 always pass: without them large packets vanish. */
export interface Basics {
  /** What stays on the host. @default true */
  loopback?: pulumi.Input<boolean>;
  /** Time exceeded, parameter problem and ICMPv6's errors. @default true */
  icmpErrors?: pulumi.Input<boolean>;
  /** IPv6's neighbour and router discovery (hop limit 255) and listeners (hop limit 1). @default true */
  neighbours?: pulumi.Input<boolean>;
  /** The host's own leases, DHCP and DHCPv6. @default true */
  dhcpClient?: pulumi.Input<boolean>;
  /** With `bridge`: questions and answers of ARP. One in a VLAN tag is not taken for one. @default true */
  arp?: pulumi.Input<boolean>;
  /** Echo requests: to the host on `input`, of the host on `output`; on `forward` they want an entry of `allow`. @default true */
  echo?: pulumi.Input<boolean>;
  /** On `output`: questions to name servers, port 53, all or `{ servers }`. @default true */
  dns?: pulumi.Input<boolean | Servers>;
  /** On `output`: questions to time servers, port 123, all or `{ servers }`. @default true */
  ntp?: pulumi.Input<boolean | Servers>;
}

/** Who is told of what nobody allows. */
export interface DefaultDropLog {
  /** A group of the kernel's nfnetlink_log, 0 to 65535, as ulogd or `tcpdump -i nflog:5` listens to. */
  nflogGroup: pulumi.Input<number>;
}

export interface DefaultDropArgs extends HostArgs {
  /** `input`: what is for the host itself; `forward`: what it passes from one interface to another one; `output`: what it sends. */
  hook: pulumi.Input<"input" | "forward" | "output">;
  /**
   * With `hook: "forward"`: the frames that this bridge hands from port to port, in the place of packets of the IP layer. It may come later.
   * @default the IP layer
   */
  bridge?: pulumi.Input<string>;
  /** Where the administrator comes from; required on `input` and `output`. What would cut off the connection in use is refused before anything is applied. */
  management?: pulumi.Input<Management>;
  /**
   * What passes. More may come as {@link Allow} resources, from other modules and stacks.
   * @default []
   */
  allow?: Opening[];
  /** @default all of them */
  basics?: pulumi.Input<Basics>;
  /**
   * Packets of open connections pass, and ICMP errors about them, behind every {@link Deny}. `false`: no connection is followed, and each direction wants an entry of its own.
   * @default true
   */
  established?: pulumi.Input<boolean>;
  /**
   * `"reject"` tells the sender: a reset for TCP, "administratively prohibited" for the rest.
   * @default "drop"
   */
  final?: pulumi.Input<"drop" | "reject">;
  /**
   * `"log"` counts and logs what would be dropped and lets it pass: a rehearsal.
   * @default "drop"
   */
  mode?: pulumi.Input<"drop" | "log">;
  /**
   * Gives what nobody allows to an nflog group, ten packets a minute at most, in the place of the kernel's log. `drawbridge leaks` reads only the latter.
   * @default the kernel's log
   */
  log?: pulumi.Input<DefaultDropLog>;
  /**
   * Applies what would cut off the connection in use; when nobody comes through, the host rolls it back after `confirmDeadlineSeconds`.
   * With `bridge`, also what would judge the frames of other bridges, because the kernel does not tell them apart (it has no nft_meta_bridge).
   * @default false
   */
  force?: pulumi.Input<boolean>;
}

/**
 * What nobody allows does not pass a hook of the IP layer, both IP versions. Phases are asked in this order, whichever resource came first: denies; open connections;
 * allows (`guest`, `border`, `host`); and in the end the rest is counted, logged (ten lines a minute at most) and dropped. There is one for each hook of a host: a second one
 * is refused with the name and the stack of the first.
 *
 * On the host: `/etc/drawbridge/nft/inet-drawbridge/50-default-drop-….nft`, loaded into the table `inet drawbridge`, at priority -1 of the hook, for example
 * ```
 * ct state established counter name "….open" accept comment "10 pass what belongs to open connections"
 * ip saddr @….management.ipv4 tcp dport 22 counter name "….management" accept comment "15 pass management, IPv4"
 * counter name "….dropped" drop comment "91 drop the rest"
 * ```
 * A line of the log begins with `drawbridge`, the resource's name on the host and the hook, so that the host's own packets and forwarded ones are told apart, and goes on in
 * the kernel's words: `drawbridge default-drop-input-1a2b3c4d input: IN=eth0 OUT= … SRC=198.51.100.7 …`. Open connections, each entry, the management and what nobody allows
 * have a counter each, which `drawbridge leaks` shows.
 *
 * On `output` it also asks the {@link UserOutputChain}s of the packet's user and group, whether an {@link OutputGuard} stands or not: what they open passes.
 *
 * Connections that an entry with `running: "cut"` has opened are known by one of conntrack's labels, 125, for others' rules to leave alone.
 *
 * No chain has a policy. A drop is final; an accept passes Drawbridge's own rules only, so that what Docker, ufw or firewalld drop stays dropped.
 *
 * With `bridge`, it judges what that bridge hands from port to port: `/etc/drawbridge/nft/bridge-drawbridge/50-default-drop-….nft`, at priority -20 of the bridge's hook forward, with or without
 * br_netfilter. Entries say `inPort` and `outPort`. A kernel that does not follow the connections of bridges (before 5.3, or without nf_conntrack_bridge) wants `established: false`, one that
 * does not tell rules by which bridge a frame goes (nft_meta_bridge) wants the host to have one bridge only, or `force`; either is refused else. Where the table does not load at boot, ARP and neighbour discovery pass, and
 * nothing else that any bridge hands on.
 *
 * On `forward` without `bridge`, what is only bridged passes, whether br_netfilter hands it to the IP layer or not: `/etc/drawbridge/nft/bridge-drawbridge/50-default-drop-….nft` has such frames marked
 * (`meta mark set meta mark | 0x20000000`) before br_netfilter has its turn, and takes the bit off behind it. Source: net/bridge/br_netfilter_hooks.c, whose turn at the bridge's forward hook is -1.
 *
 * On `forward`, bridges of Docker and libvirt that neither an entry of `allow` nor an {@link Allow} of the program names are named in a warning before anything is applied, with what containers and guests lose.
 *
 * Where the table does not load at boot, loopback, neighbour discovery, the host's own DHCP and the management pass, and nothing else of the hook. They also pass a {@link Deny}, on
 * `input` and `output`, whose {@link AddressSet} nobody declares.
 *
 * Changes are made in place; nothing replaces the resource, and there is no moment without the allows that it declares itself. (Of more than 64, or by an {@link AddressSet}, a packet that opens a connection
 * may have to be sent again in the moment in which a table is loaded whole.) Sessions that are older than the host's
 * connection tracking may stall until the client speaks; the connection that confirms the change does not.
 *
 * Source: the article "Managing IPsec packets with iptables" ("default drop"); nft(8); RFC 4890 (ICMPv6 that must not be dropped).
 *
 * @example
 * new DefaultDrop("input", {
 *   ...host,
 *   hook: "input",
 *   management: { sources: ["198.51.100.0/24"] },
 *   allow: [
 *     { service: "dns", from: ["10.0.1.0/24"], in: "wirif" },
 *     { protocol: "tcp", ports: [443], description: "the shop" },
 *   ],
 * });
 */
export class DefaultDrop extends HostResource {
  declare readonly hook: pulumi.Output<"input" | "forward" | "output">;
  declare readonly established: pulumi.Output<boolean>;
  declare readonly final: pulumi.Output<"drop" | "reject">;
  declare readonly mode: pulumi.Output<"drop" | "log">;

  constructor(name: string, args: DefaultDropArgs, opts?: pulumi.CustomResourceOptions) {
    super("DefaultDrop", name, { ...args, ...(args.allow === undefined ? {} : { allow: args.allow.map(withSetNames) }) }, opts);
  }
}
