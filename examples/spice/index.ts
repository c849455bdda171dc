import * as pulumi from "@pulumi/pulumi";
import {
  GuardedFile,
  type HostArgs,
  OutputGuard,
  SudoRule,
  SystemGroup,
  UserOutputChain,
  type WeeklyWindow,
} from "pulumi-drawbridge";

interface Viewer {
  user: string;
  /** The port of the one console that is his. */
  port: number;
  when?: WeeklyWindow;
}

const config = new pulumi.Config();
const user = config.get("user") ?? "root";
const server = config.get("server") ?? "192.168.2.2";
const source = config.get("source") ?? "192.168.2.22";
const viewers = config.getObject<Viewer[]>("viewers") ?? [
  { user: "myself", port: 20002 },
  { user: "mybro", port: 20004 },
];

const host: HostArgs = {
  connection: { host: config.require("host"), user },
  become: user !== "root",
};

// Nobody is in the group: sudo lends it to the one command line.
// Nobody is a member: sudo alone lends the group.
const group = new SystemGroup("spicegrp", { ...host, name: "spicegrp", exclusive: true });
new GuardedFile("remote-viewer", { ...host, path: "/usr/bin/remote-viewer", group: group.name, mode: "0750" });

new OutputGuard("consoles", { ...host, ports: ["20001-20010"], addresses: [server], root: "drop" });

for (const viewer of viewers) {
  new UserOutputChain(viewer.user, {
    ...host,
    user: viewer.user,
    allow: [{ to: server, ports: [viewer.port], from: source, ...(viewer.when && { when: viewer.when }) }],
  });
  new SudoRule(viewer.user, {
    ...host,
    users: [viewer.user],
    runAsUser: viewer.user,
    // Lent, and so his while the viewer runs: it keeps mistakes away. Which ports are open to him, the guard decides.
    runAsGroup: group.name,
    commands: [{ path: "/usr/bin/remote-viewer", args: ["--", `spice://${server}?tls-port=${viewer.port}`] }],
    nopasswd: config.getBoolean("nopasswd") ?? false,
    commandDefaults: { env_keep: ["DISPLAY", "XAUTHORITY"] },
  });
}

// What spares the typing. It decides nothing: sudo and the guard do.
new GuardedFile("viewer", {
  ...host,
  path: "/usr/local/bin/viewer",
  mode: "0755",
  content: `#!/bin/sh
case $(id -un) in
${viewers.map((viewer) => `${viewer.user}) port=${viewer.port} ;;`).join("\n")}
*) echo "There is no console for you." >&2; exit 1 ;;
esac
exec sudo -u "$(id -un)" -g spicegrp /usr/bin/remote-viewer -- "spice://${server}?tls-port=$port"
`,
});
