// Compiled only, by the lint: what must be one type is, and what is wrong does not compile.
import { remote, type types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type ConnectionArgs, type HostArgs, LeakFence, type ProxyConnectionArgs, SudoRule } from "../../src";

type Theirs = types.input.remote.ConnectionArgs;
type TheirProxy = types.input.remote.ProxyConnectionArgs;

/** The same keys, each equally optional and with the same type. */
type Same<A, B> = [A, keyof A] extends [B, keyof B] ? ([B, keyof B] extends [A, keyof A] ? true : false) : false;

export const connections: Same<ConnectionArgs, Theirs> = true;
export const jumpHosts: Same<ProxyConnectionArgs, TheirProxy> = true;
export const allKeys: Same<Required<ConnectionArgs>, Required<Theirs>> = true;
export const isStrict: Same<ConnectionArgs, Theirs & { privateKeyPath?: string }> = false;

// One object serves both packages, from plain values and from outputs.
const address = pulumi.output("203.0.113.7");
const connection = {
  host: address,
  user: "deploy",
  port: 22,
  hostKey: "ssh-ed25519 AAAA",
  proxy: { host: "jump.example", user: address },
};
const host: HostArgs = { connection, become: true };
new remote.Command("command", { connection, create: "true" });
new LeakFence("fence", { ...host, uplink: "eth0", networks: ["rfc1918", address, "100.64.0.0/10"] });
new SudoRule("rule", {
  connection: pulumi.output(connection),
  users: ["myself"],
  commands: [{ path: "/usr/bin/id", args: [address] }],
});
const theirs: Theirs = { host: address };
new SudoRule("rule", { connection: theirs, groups: ["staff"], commands: address.apply((path) => [{ path }]) });

const fenceArgs = { ...host, uplink: "eth0", networks: ["ula"] };

// @ts-expect-error no connection
new LeakFence("x", { uplink: "eth0", networks: ["ula"] });
// @ts-expect-error no uplink at all
new LeakFence("x", { ...host, networks: ["ula"] });
// @ts-expect-error no networks
new LeakFence("x", { ...host, uplink: "eth0" });
// @ts-expect-error a mode that does not exist
new LeakFence("x", { ...fenceArgs, mode: "reject" });
// @ts-expect-error a misspelt argument
new LeakFence("x", { ...fenceArgs, exception: [] });
// @ts-expect-error half of a bridge's port
new LeakFence("x", { ...fenceArgs, uplink: { interface: "eth0" } });
// @ts-expect-error an exception without direction
new LeakFence("x", { ...fenceArgs, exceptions: [{ cidr: "10.0.0.1" }] });
// @ts-expect-error a port that is a text
new LeakFence("x", { ...fenceArgs, connection: { host: "gw", port: "22" } });
// @ts-expect-error a key of the host beside the connection
new LeakFence("x", { ...fenceArgs, connection: { host: "gw", privateKeyPath: "~/.ssh/id_ed25519" } });
// @ts-expect-error a jump host behind a jump host
new LeakFence("x", { ...fenceArgs, connection: { host: "gw", proxy: { host: "a", proxy: { host: "b" } } } });
// @ts-expect-error a policy that does not exist
new LeakFence("x", { ...fenceArgs, hostKeyPolicy: "ignore" });
// @ts-expect-error no commands
new SudoRule("x", { ...host, users: ["myself"] });
// @ts-expect-error a command line as one text
new SudoRule("x", { ...host, users: ["myself"], commands: ["/usr/bin/id -u"] });
// @ts-expect-error an argument of another kind
new SudoRule("x", { ...host, users: ["myself"], commands: [{ path: "/usr/bin/id" }], uplink: "eth0" });
// @ts-expect-error outputs are not set by programs
new LeakFence("x", { ...fenceArgs, machineId: "m" });
// @ts-expect-error an output is read-only
new LeakFence("x", fenceArgs).rules = pulumi.output({});
