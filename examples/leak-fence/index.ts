import * as pulumi from "@pulumi/pulumi";
import { Bridge, type HostArgs, IpsecPolicyDrop, LeakFence } from "pulumi-drawbridge";

const config = new pulumi.Config();
const user = config.get("user") ?? "root";

const host: HostArgs = {
  connection: { host: config.require("host"), user },
  become: user !== "root",
};

// The address of eth0 moves to br0, over the very connection that uses it, and eth0 is br0's port to the world.
const bridge = new Bridge("outside", { ...host, name: "br0", uplink: "eth0", moveAddresses: true });

// First line: what goes to the VPN's clients goes through their tunnel, or not at all.
const tunnel = new IpsecPolicyDrop("vpn-clients", { ...host, networks: ["10.8.0.0/24"], interface: bridge.name });

// Last line, at the port.
const fence = new LeakFence("private-stays-inside", {
  ...host,
  uplink: { interface: "eth0", bridge: bridge.name },
  networks: ["rfc1918", "ula"],
  // The article's UNBLK_ADDR: private networks of the provider that the host does talk to.
  exceptions: [
    { cidr: "10.0.5.0/24", direction: "to", description: "the provider's VPN console" },
    { cidr: "10.0.5.0/24", direction: "from", description: "the provider's VPN console" },
  ],
});

export const rules = { tunnel: tunnel.rules, fence: fence.rules };
