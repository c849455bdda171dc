import * as pulumi from "@pulumi/pulumi";
import { type Bridge, BridgePort, type HostArgs, LeakFence } from "pulumi-drawbridge";
import { Machine } from "./machine";

export interface GuestArgs {
  /** The way to the machine that the guest runs on. */
  readonly host: HostArgs;
  /** That machine: what stands on it is gone with it. */
  readonly server: Machine;
  readonly bridge: Bridge;
  /** The host's end of the guest's network card; it comes and goes with the guest. */
  readonly tap: string;
  /** Networks that have nothing to do with this guest. */
  readonly keptOut: string[];
}

/** A virtual machine with its place in the bridge, and a fence around it. */
export class Guest extends pulumi.ComponentResource {
  constructor(name: string, { host, server, bridge, tap, keptOut }: GuestArgs, opts?: pulumi.ComponentResourceOptions) {
    super("guest-lan:index:Guest", name, {}, opts);
    const own = { parent: this, deletedWith: server };
    // It may start the guest before or after its port is declared: the port is made when the tap appears.
    new Machine(name, { address: tap }, { parent: this });
    new BridgePort(`${name}-port`, { ...host, bridge: bridge.name, interface: tap, isolated: true, bpduGuard: true }, own);
    new LeakFence(`${name}-fence`, { ...host, uplink: { interface: tap, bridge: bridge.name }, networks: keptOut }, own);
    this.registerOutputs({});
  }
}
