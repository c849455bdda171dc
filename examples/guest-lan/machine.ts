import * as pulumi from "@pulumi/pulumi";

/** Stands for whatever makes your machines: a server of a cloud, a domain of libvirt. It makes nothing. */
export class Machine extends pulumi.dynamic.Resource {
  /** Where SSH finds it. */
  declare readonly address: pulumi.Output<string>;

  constructor(name: string, args: { address: pulumi.Input<string> }, opts?: pulumi.CustomResourceOptions) {
    const provider: pulumi.dynamic.ResourceProvider = {
      create: (inputs: { address: string }) => Promise.resolve({ id: `machine-${inputs.address}`, outs: inputs }),
    };
    super(provider, name, args, opts);
  }
}
