import * as pulumi from "@pulumi/pulumi";
import { type HostArgs, LeakFence } from "pulumi-drawbridge";

const config = new pulumi.Config();
const user = config.get("user") ?? "root";

const host: HostArgs = {
  connection: { host: config.require("host"), user },
  become: user !== "root",
};

new LeakFence("private-stays-inside", {
  ...host,
  uplink: "eth0",
  networks: ["rfc1918", "ula"],
});
