import * as pulumi from "@pulumi/pulumi";
import { AddressSet } from "./address-set";
import type { WeeklyWindow } from "./user-output-chain";

/** Addresses and prefixes, or a set of them that others may name as well. */
export type Addresses = pulumi.Input<pulumi.Input<string>[]> | AddressSet | { set: pulumi.Input<string> };

/** How many new connections one source may open: an IPv4 address, or a network of IPv6 with the length 64, which one host can have to itself. */
export interface Rate {
  /** `1` to `1000000`. */
  connections: pulumi.Input<number>;
  per: pulumi.Input<"second" | "minute" | "hour" | "day">;
  /**
   * So many at once, after a time without any; `1` to `10000`.
   * @default 5
   */
  burst?: pulumi.Input<number>;
}

/** Which packets an {@link Allow}, a {@link Deny} or an entry of a {@link DefaultDrop} is about. What is left out does not matter. */
export interface Traffic {
  /** What the IP packet carries. Either this or `service`. */
  protocol?: pulumi.Input<"tcp" | "udp" | "icmp" | "icmpv6" | "esp" | "ah">;
  /** A protocol and its ports by name: `ssh`, `dns`, `http`, `https`, `ntp`, `dhcp-server`, …; docs/default-drop.md lists them. */
  service?: pulumi.Input<string>;
  /** Ports that packets go to: numbers, or ranges like `"20001-20010"`. */
  ports?: pulumi.Input<pulumi.Input<number | string>[]>;
  /** Ports that packets come from. */
  sourcePorts?: pulumi.Input<pulumi.Input<number | string>[]>;
  /** Types of ICMP or ICMPv6 by number (`0` to `255`). */
  icmpTypes?: pulumi.Input<pulumi.Input<number>[]>;
  /** Where packets come from: addresses and prefixes, IPv4 and IPv6, or an {@link AddressSet}. */
  from?: Addresses;
  /** Where packets go to, likewise. */
  to?: Addresses;
  /**
   * Link-layer addresses of who hands them over, like `"02:00:5e:00:53:01"`; not on `output`. That is the neighbour on the same link: behind a router it is the router's
   * address, whoever has sent the packet, and a neighbour can take whatever address he likes.
   */
  mac?: pulumi.Input<pulumi.Input<string>[]>;
  /** The interface that they come in by; not on `output`. */
  in?: pulumi.Input<string>;
  /** The interface that they go out by; not on `input`. */
  out?: pulumi.Input<string>;
  /** With `bridge`: the port that frames come in by (`--physdev-in` of iptables). */
  inPort?: pulumi.Input<string>;
  /** With `bridge`: the port that frames go out by (`--physdev-out`). */
  outPort?: pulumi.Input<string>;
  /**
   * When it ends, by the host's own clock, whether anybody applies anything then or not, and after a reboot too: a date and time with its distance from UTC
   * (1970 to 2261), like `"2026-12-24T18:00:00+01:00"` or `"2026-12-24T17:00:00Z"`. What it has let open goes on, unless it says `running: "cut"`. One that lets packets pass also has a beginning, so that a
   * host without its time, or with a clock that is set far back, does not open it once more: the day before the one, in UTC, on which this end was first checked, by the clock of the
   * machine that runs Pulumi. In the state both stand as one interval, `"2026-11-29T00:00:00Z/2026-12-24T18:00:00+01:00"`. What a {@link Deny} denies passes again, and is denied once more by a clock
   * that is set back. Preview, update and refresh say what has expired; the rules stand until the program takes them out.
   * @default never
   */
  until?: pulumi.Input<string>;
  /**
   * A line in the kernel's log for each packet, ten a minute at most.
   * @default false
   */
  log?: pulumi.Input<boolean>;
  /** Stands beside the rules on the host; up to 60 printable characters. */
  description?: pulumi.Input<string>;
}

/** What an {@link Allow} and an entry of a {@link DefaultDrop} may say beside. */
export interface Opening extends Traffic {
  /**
   * New connections of each source only, and no more than these; ports and protocols of an entry count together. What exceeds it is not allowed by this entry: it goes on to the
   * next allow, or to the final drop. Packets of open connections pass by `established`, which has to be on. The kernel remembers 65,535 sources of each IP version at a time; while
   * there is no room, new sources are not allowed. What it remembers begins anew where the whole table is loaded: at boot, and where drift is repaired. `log` writes down what exceeds it, too.
   * @default any number
   */
  rate?: pulumi.Input<Rate>;
  /**
   * On `output`: what is sent through a socket of this user's, who must exist on the host. Either `user` or `group`. The name becomes a number when the host loads its
   * rules; who is deleted later, or comes back under another number, is drift, and nothing is open for the number any more after the next load.
   */
  user?: pulumi.Input<string>;
  /** On `output`: likewise of processes whose effective group it is (`sudo -g`, `newgrp`, a user's login group). Membership alone does not count. */
  group?: pulumi.Input<string>;
  /**
   * Only on these days and hours; what is open then goes on, as long as `established` passes it, unless it says `running: "cut"`. Weekdays are refused on a kernel whose own time zone is not UTC.
   * @default at any time
   */
  when?: pulumi.Input<WeeklyWindow>;
  /**
   * The distance from UTC in which `when` is written, like `"+01:00"`. A time zone with daylight saving is refused: the kernel knows none.
   * @default "+00:00"
   */
  utcOffset?: pulumi.Input<string>;
  /**
   * Also later fragments of such packets, which have no ports and no ICMP type: all of the same protocol from, or to, the addresses that the entry names. For a default drop with
   * `established: false`; where anything on the host follows connections, packets are put together before they are judged. On `forward`, with `from` or `to`; on `input` with
   * `from`, and for IPv6, since IPv4 for the host itself is put together before; never on `output`. Without it such fragments are dropped.
   * @default false
   */
  fragments?: pulumi.Input<boolean>;
  /**
   * What becomes of the connections that it has let open, when it ends (`until`), outside of its hours (`when`), and when it is taken out of the program or changed. `"keep"`: they go on, as long as
   * `established` passes them. `"cut"`: the host's kernel lets nothing more of them pass. On `forward` that is both ways; on `input` nothing more comes in, on `output` nothing more goes out. It is about
   * connections that nobody else allows: the entry is asked behind all others. A connection that was cut has to be opened anew, also where somebody else has allowed it since: of UDP that is
   * when it has been quiet for two minutes. Of what was open before the entry said `"cut"`, nothing is. Not beside `rate` and `fragments`, and with `established` only.
   * @default "keep"
   */
  running?: pulumi.Input<"keep" | "cut">;
}

/** What the provider is told: of an AddressSet, its name. */
export function withSetNames(args: { from?: Addresses; to?: Addresses }): object {
  const sets = (["from", "to"] as const).flatMap((side) => {
    const given = args[side];
    return given instanceof AddressSet ? [[side, { set: given.name }] as const] : [];
  });
  return { ...args, ...Object.fromEntries(sets) };
}
