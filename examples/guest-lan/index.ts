import * as pulumi from "@pulumi/pulumi";
import { Bridge, type HostArgs } from "pulumi-drawbridge";
import { Guest } from "./guest";
import { Machine } from "./machine";

const config = new pulumi.Config();
const user = config.get("user") ?? "root";
const server = new Machine("server", { address: config.require("host") });

const host: HostArgs = {
  connection: { host: server.address, user },
  become: user !== "root",
  // Another machine behind the same address is told apart, and gets everything anew.
  machine: server.id,
};

const uplink = config.get("uplink");

// No address of the host stands on it, so that the guests do not talk to the host.
const bridge = new Bridge("guests", { ...host, name: "guests0", ...(uplink && { uplink }) }, { deletedWith: server });

for (const name of config.getObject<string[]>("guests") ?? ["web", "mail"])
  new Guest(name, { host, server, bridge, tap: `tap-${name}`, keptOut: ["198.51.100.0/24"] });
