import type * as pulumi from "@pulumi/pulumi";

/** How to reach a machine by SSH; the fields of `remote.ProxyConnectionArgs` of `@pulumi/command`. */
export interface ProxyConnectionArgs {
  /** Name or address. */
  host: pulumi.Input<string>;
  /**
   * TCP port (`1` to `65535`).
   * @default 22
   */
  port?: pulumi.Input<number>;
  /** @default "root" */
  user?: pulumi.Input<string>;
  /** Password of the user. Better left out: an SSH agent, `privateKeyPath` or `privateKeyEnv` keep credentials out of the state. */
  password?: pulumi.Input<string>;
  /** Contents of a private key in OpenSSH or PEM format. Better left out, as `password`. */
  privateKey?: pulumi.Input<string>;
  /** Passphrase of an encrypted key. */
  privateKeyPassword?: pulumi.Input<string>;
  /** @default the environment variable SSH_AUTH_SOCK, when the program runs */
  agentSocketPath?: pulumi.Input<string>;
  /**
   * How often a connection that fails for reasons of the network is tried; `-1` means without end. Unless it is set, what sshd drops
   * because it has too many connections (`MaxStartups`) does not count, for a minute.
   * @default 3
   */
  dialErrorLimit?: pulumi.Input<number>;
  /**
   * Seconds until one try is given up.
   * @default 15
   */
  perDialTimeout?: pulumi.Input<number>;
  /** The key that the machine must show, as in known_hosts: `"ssh-ed25519 AAAA…"`. Left out, `hostKeyPolicy` decides. */
  hostKey?: pulumi.Input<string>;
}

/** Exactly `remote.ConnectionArgs` of `@pulumi/command` 1.2, so that one object serves both. */
export interface ConnectionArgs extends ProxyConnectionArgs {
  /** A jump host on the way. */
  proxy?: pulumi.Input<ProxyConnectionArgs>;
}

/** What every resource takes to reach its host; keep it in one object and spread it: `{ ...host, uplink: "eth0" }`. */
export interface HostArgs {
  /**
   * How to reach the host. The same type as `@pulumi/command`'s `remote.Command` takes. Its passwords and keys are
   * always secrets in the state; host, port and user show in diffs, unless all of it is an output or a secret.
   */
  connection: pulumi.Input<ConnectionArgs>;
  /**
   * Become root by `sudo -n`. Needed unless `connection.user` is root.
   * @default false
   */
  become?: pulumi.Input<boolean>;
  /** Path of a private key on the machine that runs Pulumi, read when it is needed. `~/` and paths relative to Pulumi.yaml work. */
  privateKeyPath?: pulumi.Input<string>;
  /** Name of an environment variable that holds a private key where Pulumi runs. */
  privateKeyEnv?: pulumi.Input<string>;
  /** Name of an environment variable that holds the password where Pulumi runs. */
  passwordEnv?: pulumi.Input<string>;
  /**
   * Which host key to believe where `connection.hostKey` is left out: `"known-hosts"` asks OpenSSH's known_hosts files,
   * `"accept-new"` pins the key that is seen at create in the state. A changed key is always refused.
   * @default "known-hosts"
   */
  hostKeyPolicy?: pulumi.Input<"known-hosts" | "accept-new">;
  /**
   * Seconds (`3` to `3600`) that the host waits for the confirmation of a change over a new connection before it rolls the change back. Two thirds of it are what this side waits for its connection.
   * @default 90
   */
  confirmDeadlineSeconds?: pulumi.Input<number>;
  /** Identity of the machine behind the address, for example `vm.id`. A change of it installs the resource again and releases an `accept-new` pin. */
  machine?: pulumi.Input<string>;
  /**
   * Take over what is there already under this name and not ours (a bridge, a port, a file, a table of an interrupted run), instead
   * of refusing it by name. Delete puts back what was found, unless somebody changed it since.
   * @default false
   */
  adopt?: pulumi.Input<boolean>;
}
