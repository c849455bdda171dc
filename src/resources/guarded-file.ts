import type * as pulumi from "@pulumi/pulumi";
import type { HostArgs } from "./connection";
import { HostResource } from "./host-resource";

export interface GuardedFileArgs extends HostArgs {
  /** Absolute path of the file itself, not of a link to it. It must be there, unless `content` is given. */
  path: pulumi.Input<string>;
  /**
   * A user by name, who must exist on the host. At least one of `owner`, `group`, `mode`, `content` is needed.
   * @default as it is; root for a file that is made here
   */
  owner?: pulumi.Input<string>;
  /**
   * A group by name, which must exist on the host, or come with a [SystemGroup](SystemGroup.md) of the same `up`.
   * @default as it is; root for a file that is made here
   */
  group?: pulumi.Input<string>;
  /**
   * Four octal digits, `"0750"`. Needed with `content`.
   * @default as it is
   */
  mode?: pulumi.Input<string>;
  /**
   * The whole text, up to 64 KiB, for a launcher. The file is made if it is not there. Refused for a file of a package, whose upgrade would
   * write over it. It stands in Pulumi's state as it is written here: no place for secrets.
   * @default as it is
   */
  content?: pulumi.Input<string>;
  /**
   * `mode` may take a setuid, setgid or sticky bit away that the file has when it is first taken. Without it that is refused.
   * @default false
   */
  dropSetuid?: pulumi.Input<boolean>;
}

/**
 * An executable or launcher has just this owner, group and mode, also after an upgrade of its package; optionally this content.
 *
 * On the host: `/etc/drawbridge/files/50-guarded-file-…`, for example
 * ```
 * file /usr/bin/remote-viewer group spicegrp
 * file /usr/bin/remote-viewer mode 0750
 * file /usr/bin/remote-viewer acl none
 * file /usr/bin/remote-viewer override -:spicegrp:0750
 * ```
 * Where dpkg is, `dpkg-statoverride` makes it survive upgrades. Elsewhere (rpm, pacman) an upgrade puts the package's own mode back:
 * `pulumi refresh` sees it, `pulumi up` repairs it.
 *
 * Setuid bits and capabilities, which the kernel takes away with every change of owner or group, are put back. Refused, before anything
 * changes: a link, with the name of its target; a folder on the way that somebody else than root can write to; a user or group that is
 * not there; an access control list; a setuid bit that `mode` would take away unseen; one on a file whose owner is not root, or shall not be;
 * an override of dpkg by somebody else, or a file in the place of `content`, without `adopt`; a program that drawbridge-host itself needs
 * for the undo.
 *
 * A delete puts back owner, group, mode, content and override, each unless somebody changed it since, and where the folder is still root's
 * alone. A setuid bit that an `owner` has set himself is taken off when the file becomes root's again. Changes are made in place; nothing
 * replaces the resource.
 *
 * Source: dpkg-statoverride(1), chown(2), capabilities(7); the article "VM and user specific restrictions for remote-viewer connections".
 *
 * @example
 * new GuardedFile("viewer", { ...host, path: "/usr/bin/remote-viewer", owner: "root", group: "spicegrp", mode: "0750" });
 */
export class GuardedFile extends HostResource {
  declare readonly path: pulumi.Output<string>;
  declare readonly owner: pulumi.Output<string | undefined>;
  declare readonly group: pulumi.Output<string | undefined>;
  declare readonly mode: pulumi.Output<string | undefined>;
  declare readonly content: pulumi.Output<string | undefined>;
  declare readonly dropSetuid: pulumi.Output<boolean | undefined>;

  constructor(name: string, args: GuardedFileArgs, opts?: pulumi.CustomResourceOptions) {
    super("GuardedFile", name, args, opts);
  }
}
