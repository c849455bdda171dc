import { local, remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type HostArgs, LeakFence } from "pulumi-drawbridge";

const config = new pulumi.Config();

// Stands for whatever makes your machines: a server of your cloud, a domain of libvirt.
const vm = new local.Command("vm", {
  create: "multipass launch --name fenced --cloud-init - >&2 && multipass info fenced --format json | jq -r .info.fenced.ipv4[0]",
  delete: "multipass delete --purge fenced",
  stdin: `#cloud-config\nssh_authorized_keys: [${JSON.stringify(config.require("publicKey"))}]\n`,
});

const host = {
  connection: { host: vm.stdout, user: "ubuntu" },
  become: true,
  // The key that a new machine shows first is pinned in the state,
  hostKeyPolicy: "accept-new",
  // until another machine stands there: then everything is installed anew.
  machine: vm.id,
} satisfies HostArgs;

const network = vm.stdout.apply((address) => address.replace(/\.\d+$/, ".0/24"));

// The same connection serves the command provider.
const packages = new remote.Command(
  "packages",
  {
    connection: host.connection,
    create: "cloud-init status --wait && sudo apt-get install -y nftables",
    triggers: [vm.id],
  },
  { deletedWith: vm },
);

new LeakFence(
  "private-stays-inside",
  {
    ...host,
    uplink: config.get("uplink") ?? "ens3",
    networks: ["rfc1918", "ula"],
    // The network that the machine itself is in, a private one with multipass.
    exceptions: [
      { cidr: network, direction: "to", description: "the machine's own network" },
      { cidr: network, direction: "from", description: "the machine's own network" },
    ],
  },
  { dependsOn: packages, deletedWith: vm },
);
