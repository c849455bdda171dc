import * as pulumi from "@pulumi/pulumi";
import { type HostArgs, SudoRule } from "pulumi-drawbridge";

const config = new pulumi.Config();
const user = config.get("user") ?? "root";

const host: HostArgs = {
  connection: { host: config.require("host"), user },
  become: user !== "root",
};

// One user, one console: the TLS port of each user's virtual machine.
const consoles = { myself: 20002, mybro: 20004 };

for (const [viewer, port] of Object.entries(consoles)) {
  new SudoRule(`viewer-of-${viewer}`, {
    ...host,
    users: [viewer],
    runAsUser: viewer,
    // Lent, and so his while the viewer runs: it keeps mistakes away, not somebody who is determined.
    runAsGroup: "spicegrp",
    commands: [{ path: "/usr/bin/remote-viewer", args: ["--", `spice://mysrv.anraconc.de?tls-port=${port}`] }],
    commandDefaults: { env_keep: ["DISPLAY"] },
  });
}
