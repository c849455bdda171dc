import * as pulumi from "@pulumi/pulumi";
import { type HostArgs, LeakFence } from "pulumi-drawbridge";

const config = new pulumi.Config();
const user = config.get("user") ?? "root";

const host: HostArgs = {
  connection: { host: config.require("host"), user },
  become: user !== "root",
};

// The host's address is on br0, and eth0 is br0's only port. The bridge's postrouting hook is the article's line in ebtables;
// the device's egress hook stands behind it, and meets raw frames too.
const fence = new LeakFence("private-stays-inside", {
  ...host,
  uplink: { interface: "eth0", bridge: "br0" },
  networks: ["rfc1918"],
  // The article's UNBLK_ADDR: private networks of the provider that the host does talk to.
  exceptions: [
    { cidr: "10.0.5.0/24", direction: "to", description: "the provider's VPN console" },
    { cidr: "10.0.5.0/24", direction: "from", description: "the provider's VPN console" },
  ],
});

export const rules = fence.rules;
