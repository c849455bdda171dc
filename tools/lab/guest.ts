import { frameScript } from "./frame";
import type { RunOptions, RunResult } from "./process";

/** A network namespace inside a lab host, joined to it by a veth: what a virtual machine or a container is to the host's network. */
export interface LabGuest {
  readonly name: string;
  /** the host's end of the guest's veth; the guest's own end is eth0 */
  readonly interface: string;
  /** the address of the guest's eth0 */
  readonly mac: string;
  /** Runs a /bin/sh script as root in the guest's network, with the host's files. */
  run(script: string, options?: RunOptions): Promise<RunResult>;
  /** Sends one raw ethernet frame out of the guest's eth0. */
  sendFrame(frame: Buffer): Promise<void>;
  /** Ends the guest and its veth. */
  down(): Promise<void>;
}

/** How a guest is joined to its host. */
export interface GuestOptions {
  /** at most ten characters: the host's end of the veth is called veth-NAME */
  readonly name: string;
  /** addresses with their prefix lengths */
  readonly addresses: readonly string[];
  /** the next hop of its default routes, at most one for each of IPv4 and IPv6 */
  readonly gateway?: string | readonly string[];
  /** the host's end is a port of a bridge, or has addresses of its own */
  readonly attach: { readonly bridge: string } | { readonly hostAddresses: readonly string[] };
}

type Run = (script: string, options?: RunOptions) => Promise<RunResult>;

/** Starts a guest on the host that `run` runs scripts on. */
export async function startGuest(run: Run, options: GuestOptions): Promise<LabGuest> {
  const { name, attach } = options;
  if (!/^[a-z0-9-]{1,10}$/.test(name)) throw new Error(`"${name}" cannot be a guest's name: up to ten of a-z, 0-9 and -`);
  const end = `veth-${name}`;
  const gateways = options.gateway === undefined ? [] : [options.gateway].flat();
  const hostLines = [
    `link add ${end} type veth peer name eth0 netns ${name}`,
    ...("bridge" in attach
      ? [`link set dev ${end} master ${attach.bridge}`]
      : attach.hostAddresses.map((address) => addressLine(address, end))),
    `link set dev ${end} up`,
  ];
  const guestLines = [
    "link set dev lo up",
    ...options.addresses.map((address) => addressLine(address, "eth0")),
    "link set dev eth0 up",
    ...gateways.map((gateway) => `route add default via ${gateway} dev eth0`),
  ];
  const { stdout } = await run(
    [
      "set -e",
      `ip netns add ${name}`,
      batch("ip -batch -", hostLines),
      batch(`ip -n ${name} -batch -`, guestLines),
      `ip netns exec ${name} cat /sys/class/net/eth0/address`,
    ].join("\n"),
  );
  const inGuest: Run = (script, runOptions) => run(`exec ip netns exec ${name} /bin/sh -c ${quote(script)}`, runOptions);
  return {
    name,
    interface: end,
    mac: stdout.trim(),
    run: inGuest,
    sendFrame: async (frame) => {
      await inGuest(frameScript("eth0", frame));
    },
    down: async () => {
      await run(`ip link delete dev ${end}; ip netns delete ${name}`);
    },
  };
}

/** IPv6 addresses are usable at once only without duplicate address detection. */
export function addressLine(address: string, device: string): string {
  return `addr add ${address} dev ${device}${address.includes(":") ? " nodad" : ""}`;
}

function batch(command: string, lines: readonly string[]): string {
  return `${command} <<'end'\n${lines.join("\n")}\nend`;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
