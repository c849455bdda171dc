import * as pulumi from "@pulumi/pulumi";
import { shim } from "./shim";

/** What every resource of this package has. */
export abstract class HostResource extends pulumi.CustomResource {
  /** Rule id to the line that stands on the host. After `pulumi refresh` it shows what somebody changed. */
  declare readonly rules: pulumi.Output<Record<string, string>>;
  /** Random id of the machine that the resource stands on. */
  declare readonly machineId: pulumi.Output<string>;

  /** @internal */
  protected constructor(kind: string, name: string, args: object, opts: pulumi.CustomResourceOptions = {}) {
    const type = `pulumi-nodejs:dynamic/drawbridge:${kind}`;
    const { connection, ...own } = args as { connection?: unknown };
    const props = {
      ...own,
      connection: pulumi.secret(connection),
      // Outputs must be named here, or they would be missing on the resource.
      rules: undefined,
      machineId: undefined,
      applied: undefined,
      pinnedHostKey: undefined,
      __origin: { project: pulumi.getProject(), stack: pulumi.getStack(), name },
      // A promise, not an output: an output would depend on the parent, and so on this very resource.
      __urn: new Promise<string>((resolve) => pulumi.createUrn(name, type, opts.parent).apply(resolve)),
      __provider: shim(kind),
    };
    super(type, name, props, pulumi.mergeOptions(opts, { additionalSecretOutputs: ["connection"] }));
  }
}
