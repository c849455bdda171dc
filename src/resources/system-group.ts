import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { declareGroup, HostResource } from "./host-resource";

export interface SystemGroupArgs extends HostArgs {
  /** The group's name. */
  name: pulumi.Input<string>;
  /**
   * Its number, `1` to `65533`. A group that is there already keeps its own: another number is refused, since files may belong to the old
   * one.
   * @default the host's choice, or what it has
   */
  gid?: pulumi.Input<number>;
  /**
   * Users by name who are in the group; they must exist on the host. Others who are in it stay, unless `exclusive` is set.
   * @default []
   */
  members?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Nobody else is a member: `pulumi refresh` names other members (`20 others`), and `pulumi up` takes them out; a delete puts those back
   * who were found. What other SystemGroups of the host name as members of the same group stays. Refused where it is the first
   * group of another user (`/etc/passwd`), which gives him the same rights.
   * @default false
   */
  exclusive?: pulumi.Input<boolean>;
}

/**
 * A local group of the system is there, and users are in it.
 *
 * A group for [GuardedFile](GuardedFile.md) and for `runAsGroup` of [SudoRule](SudoRule.md). What one `up` brings is one transaction: the
 * group stands before the files that belong to it, and leaves after them.
 *
 * On the host: `/etc/drawbridge/groups/50-system-group-…`, for example
 * ```
 * group spicegrp is group
 * group spicegrp member:myself yes
 * group spicegrp others none
 * ```
 *
 * A group that is there already and not ours is refused without `adopt`. A delete takes only those members out who were put in here, and
 * deletes the group only if it was made here and nobody needs it any more: members, users whose own group it is, files that are held
 * here, overrides of dpkg. Else it stays, and a warning names them. Files that nobody declared are not looked for. `pulumi refresh` sees
 * when the group, one of the members or a `gid` that is given here has changed.
 *
 * A user who is logged in gets a new membership at the next login. Changes are made in place; nothing replaces the resource.
 *
 * Source: groupadd(8), gpasswd(1); the article "VM and user specific restrictions for remote-viewer connections".
 *
 * @example
 * new SystemGroup("viewers", { ...host, name: "spicegrp" });
 */
export class SystemGroup extends HostResource {
  declare readonly name: pulumi.Output<string>;
  declare readonly gid: pulumi.Output<number | undefined>;
  declare readonly members: pulumi.Output<string[]>;
  declare readonly exclusive: pulumi.Output<boolean | undefined>;

  constructor(name: string, args: SystemGroupArgs, opts?: pulumi.CustomResourceOptions) {
    super("SystemGroup", name, args, opts);
    declareGroup(args);
  }
}
