import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";

/** A weekday by its English name. */
export type Weekday = "Monday" | "Tuesday" | "Wednesday" | "Thursday" | "Friday" | "Saturday" | "Sunday";

/** When something is allowed. What is left out does not matter. */
export interface WeeklyWindow {
  /** @default every day */
  days?: pulumi.Input<pulumi.Input<Weekday>[]>;
  /**
   * From the first minute to just before the last: `"08:00-17:30"`. A window over midnight (`"22:00-02:00"`) belongs to the day on
   * which it begins.
   * @default the whole day
   */
  hours?: pulumi.Input<string>;
  /** The first day on which it may begin: `"2026-11-02"`. */
  firstDate?: pulumi.Input<string>;
  /** The last day on which it may begin. */
  lastDate?: pulumi.Input<string>;
}

/** A way that is open. */
export interface UserOutputAllowance {
  /** The remote address or prefix, IPv4 or IPv6. */
  to: pulumi.Input<string>;
  /** Remote ports: numbers, or ranges like `"20001-20010"`. */
  ports: pulumi.Input<pulumi.Input<number | string>[]>;
  /** @default "tcp" */
  protocol?: pulumi.Input<"tcp" | "udp">;
  /**
   * Only from this address (or prefix) of the host.
   * @default any
   */
  from?: pulumi.Input<string>;
  /**
   * Only by this interface.
   * @default any
   */
  out?: pulumi.Input<string>;
  /** @default at any time */
  when?: pulumi.Input<WeeklyWindow>;
  /** Stands beside the rule on the host; up to 60 printable characters. */
  description?: pulumi.Input<string>;
}

export interface UserOutputChainArgs extends HostArgs {
  /** The user by name, who must exist on the host. Either `user` or `group`. */
  user?: pulumi.Input<string>;
  /**
   * The group by name, which must exist on the host: processes whose effective group it is (`sudo -g`, `newgrp`, a user's login
   * group). Membership alone does not count.
   */
  group?: pulumi.Input<string>;
  /** What is open through the host's {@link OutputGuard}s, and a {@link DefaultDrop} on output; at least one. */
  allow: pulumi.Input<pulumi.Input<UserOutputAllowance>[]>;
  /**
   * The distance from UTC in which `when` is written, like `"+01:00"`. A time zone with daylight saving is refused: the kernel
   * knows none, and hours would be wrong for half of the year.
   * @default "+00:00"
   */
  utcOffset?: pulumi.Input<string>;
}

/**
 * What one local user, or one group, may open where an {@link OutputGuard} or a {@link DefaultDrop} on `output` stands: which address and
 * port, from which source, by which interface, on which days and hours. It only ever opens: without either over these ports it changes
 * nothing. Where both stand it passes both. The order among users, and among a user's several resources, never matters.
 *
 * On the host: `/etc/drawbridge/nft/inet-drawbridge/50-user-output-chain-….nft`, for example
 * ```
 * ip daddr 192.168.2.2 tcp dport 20002 meta day 1-2 meta hour "08:00:00"-"16:59:59" accept comment "20 allow 001 tcp 20002 on 192.168.2.2"
 * ```
 * Names become numbers when the host loads its rules. A user who does not exist is an error of this resource; one who is deleted
 * later, or comes back under another number, is drift, and nothing is open for the number any more after the next load.
 *
 * Whether an open connection outlives its window is the guard's `openConnections`; with a DefaultDrop alone it does, by `established`.
 *
 * Changes are made in place; nothing replaces the resource. Refused: weekdays on a kernel whose own time zone is not UTC
 * (`timedatectl set-timezone` sets it until the next reboot), since it would count days by it and hours without it.
 *
 * Source: the article "VM and user specific restrictions for remote-viewer connections"; nft(8), `meta skuid`, `meta day`, `meta hour`.
 *
 * @example
 * new UserOutputChain("maggie", {
 *   ...host,
 *   user: "maggie",
 *   allow: [{ to: "192.168.2.2", ports: [20002], when: { days: ["Monday", "Tuesday"], hours: "08:00-17:00" } }],
 *   utcOffset: "+01:00",
 * });
 */
export class UserOutputChain extends HostResource {
  declare readonly user: pulumi.Output<string | undefined>;
  declare readonly group: pulumi.Output<string | undefined>;
  declare readonly allow: pulumi.Output<
    {
      to: string;
      ports: (number | string)[];
      protocol: "tcp" | "udp";
      from?: string;
      out?: string;
      when?: { days?: Weekday[]; hours?: string; firstDate?: string; lastDate?: string };
      description?: string;
    }[]
  >;
  declare readonly utcOffset: pulumi.Output<string>;

  constructor(name: string, args: UserOutputChainArgs, opts?: pulumi.CustomResourceOptions) {
    super("UserOutputChain", name, args, opts);
  }
}
