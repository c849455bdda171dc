import type { Family } from "../netfilter/nft";

/** Whose tools a kind needs. */
export type Domain = "nft" | "sudo" | "links" | "accounts" | "files";

/** A file on the host. */
export interface FoundFile {
  readonly text: string;
  /** Four octal digits, or `link`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
}

/** A server that the host uses, and the way packets to it take. */
export interface Service {
  /** "peer" is where this SSH session comes from. */
  readonly what: "peer" | "resolver" | "time server" | "DHCP server";
  readonly address: string;
  /** The outgoing interface. */
  readonly device: string;
  /** The address that the host would send from. */
  readonly source: string | undefined;
}

/** One line that is not as it was made ("gone" and "order": the whole file). "uplink" configures the interface whose addresses moved. */
export interface ConfigurationDifference {
  readonly path: string;
  readonly is: "missing" | "added" | "uplink" | "order" | "gone";
  readonly line: string;
}

/** A connection that the host follows, by whoever has opened it; with the addresses and ports behind destination NAT, and before source NAT. */
export interface Flow {
  /** As the kernel calls it: "tcp". */
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

export interface HostFacts {
  /** Interface name to the bridge (or other master) it belongs to, and whether it is a bridge itself. */
  readonly links: ReadonlyMap<
    string,
    { readonly master: string | undefined; readonly isBridge: boolean; readonly addresses: readonly string[] }
  >;
  readonly services: readonly Service[];
  /** The port of this host that the SSH session goes to, behind whatever forwards to it. */
  readonly sshPort: number | undefined;
  /** Who configures the host's addresses: "ifupdown", "systemd-networkd", "NetworkManager" or "unknown". */
  readonly network: string;
  /** Device to the file of the host's own network configuration, not ours, that names it. */
  readonly configured: ReadonlyMap<string, string>;
  /** Bridge with moved addresses to what is not as it was made of the host's own network configuration. */
  readonly configuration: ReadonlyMap<string, readonly ConfigurationDifference[]>;
  /** The next hops of the host's default routes. */
  readonly defaultRoutes: readonly { readonly version: number; readonly device: string; readonly gateway: string }[];
  /** How things stand that our files hold: "br0 stp_state" to "0", "group:spicegrp gid" to "997"; "-" where there is no such thing. */
  readonly live: ReadonlyMap<string, string>;
  /** What boot and udev need to load our tables and is not as it was written: paths. */
  readonly damaged: readonly string[];
  /** Path of a file of which boot would make something else than stands now, to what and why. */
  readonly atBoot: ReadonlyMap<string, string>;
  /** Path of a fragment to what it needs and the host does not have any more. */
  readonly unmet: ReadonlyMap<string, readonly string[]>;
  /** Tables that boot or an undo had to shut. */
  readonly shut: readonly string[];
  /** Connections that the host follows, the first some thousand; said only where the time of an allow is over. */
  readonly flows?: "unknown" | { readonly running: readonly Flow[]; readonly isCut: boolean };
}

/** What a change must know of a host beforehand. */
export interface HostSurvey {
  readonly facts: HostFacts;
  /** Of our files, those that were confirmed. */
  readonly confirmedPaths: ReadonlySet<string>;
  /** Why a look was not possible, by domain. */
  readonly errors: Readonly<Partial<Record<Domain, string>>>;
}

/** One look at a host: what stands, and what would stand if everything were as last confirmed. */
export interface HostSnapshot extends HostSurvey {
  /** Our files by path, as they stand. */
  readonly files: ReadonlyMap<string, FoundFile>;
  /** By path, as they were last confirmed. */
  readonly confirmed: ReadonlyMap<string, string>;
  /** nft's listing of `table <family> drawbridge`: the kernel's, and that of the confirmed fragments in a throw-away namespace. */
  readonly live: Partial<Record<Family, string>>;
  readonly canonical: Partial<Record<Family, string>>;
  /** Base name of a sudoers file to what sudo answers for each of its `# grants` lines. */
  readonly effect: ReadonlyMap<string, readonly string[]>;
  /** The same base name to what others' sudoers files allow or ask beside it: "may USER FILE RUNAS PROGRAM", "asks USER SETTING". */
  readonly foreign: ReadonlyMap<string, readonly string[]>;
}
