import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";

/** One command line. */
export interface SudoCommand {
  /** Absolute path of a program; no folder, no wildcard. */
  path: pulumi.Input<string>;
  /**
   * The exact arguments. Each stands for itself alone: `?`, `*` and the like are no wildcards. White space inside an argument
   * is refused, since sudo joins arguments with blanks before it compares.
   * @default [] no argument at all
   */
  args?: pulumi.Input<pulumi.Input<string>[]>;
}

export interface SudoRuleArgs extends HostArgs {
  /** Users by name. At least one user or group. */
  users?: pulumi.Input<pulumi.Input<string>[]>;
  /** Groups by name, without `%`. */
  groups?: pulumi.Input<pulumi.Input<string>[]>;
  /** @default "root" */
  runAsUser?: pulumi.Input<string>;
  /**
   * The group to run as (`sudo -g`). Left out, it cannot be chosen. Set, sudo allows the pair, and `-u` without `-g` too; sudo
   * 1.9.13 also allows `-g` alone, as the invoking user.
   */
  runAsGroup?: pulumi.Input<string>;
  /** What may be run; at least one. */
  commands: pulumi.Input<pulumi.Input<SudoCommand>[]>;
  /**
   * Run without asking for a password (`NOPASSWD:`).
   * @default false
   */
  nopasswd?: pulumi.Input<boolean>;
  /**
   * The command cannot start other programs (`NOEXEC:`).
   * @default false
   */
  noexec?: pulumi.Input<boolean>;
  /**
   * The user may keep and set environment variables (`SETENV:`).
   * @default false
   */
  setenv?: pulumi.Input<boolean>;
  /**
   * `Defaults!command` settings by their name in sudoers(5), for every path in `commands`: a boolean, a number, a text, or a
   * list, which is added (`env_keep += "DISPLAY"`). They hold for the program whoever runs it.
   * @default {}
   */
  commandDefaults?: pulumi.Input<Record<string, pulumi.Input<boolean | number | string | string[]>>>;
}

/**
 * Users may run exact commands with exact arguments as another user or group, and nothing else.
 *
 * On the host: one file `/etc/sudoers.d/drawbridge-sudo-rule-…`, root:root 0440, for example
 * ```
 * Defaults!/usr/bin/remote-viewer env_keep+="DISPLAY"
 * myself ALL=(myself : spicegrp) PASSWD: EXEC: NOSETENV: /usr/bin/remote-viewer -- spice\://mysrv\?tls-port\=20002
 * ```
 * Checked by the host's own visudo alone and with all its other files before it is installed; only what the rule would make
 * worse is refused. A change or a delete that would take away the right by which this connection itself becomes root is
 * refused. `pulumi refresh` also asks sudo whether the rule still has its effect: a later file may take it away.
 *
 * Refused is a program that somebody else than root can change, by its owner, mode or access control list or those of a folder or link on the way; but
 * the user as whom it runs may own it where no group is lent. Where it becomes so later, refresh says `changeable`. Others' rules that let the users run
 * the same program otherwise, and `targetpw`, `rootpw` and `runaspw`, are warnings of refresh.
 *
 * A lent group (`runAsGroup` with the user himself as `runAsUser`) is the user's: his configuration and what the program loads from his home run
 * with it. `noexec` helps where the program need not start others. Arguments are no secrets: whoever is on the host sees them in `ps` while the
 * program runs.
 *
 * Changes are made in place; nothing replaces the resource.
 *
 * Source: sudoers(5); the article "VM and user specific restrictions for remote-viewer connections".
 *
 * @example
 * new SudoRule("viewer", {
 *   ...host,
 *   users: ["myself"], runAsUser: "myself", runAsGroup: "spicegrp",
 *   commands: [{ path: "/usr/bin/remote-viewer", args: ["--", "spice://mysrv?tls-port=20002"] }],
 * });
 */
export class SudoRule extends HostResource {
  declare readonly users: pulumi.Output<string[]>;
  declare readonly groups: pulumi.Output<string[]>;
  declare readonly runAsUser: pulumi.Output<string>;
  declare readonly runAsGroup: pulumi.Output<string | undefined>;
  declare readonly commands: pulumi.Output<{ path: string; args: string[] }[]>;
  declare readonly nopasswd: pulumi.Output<boolean>;
  declare readonly noexec: pulumi.Output<boolean>;
  declare readonly setenv: pulumi.Output<boolean>;
  declare readonly commandDefaults: pulumi.Output<Record<string, boolean | number | string | string[]>>;

  constructor(name: string, args: SudoRuleArgs, opts?: pulumi.CustomResourceOptions) {
    super("SudoRule", name, args, opts);
  }
}
