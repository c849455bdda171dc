import type { HostFacts } from "../files/snapshot";
import { parsePrefix, type Prefix, versionOf } from "../values/prefix";
import type { Packet } from "./packet";
import type { Hook } from "./traffic";

/** Where the SSH connection in use comes from, and a packet of such a connection. */
export interface SshInUse {
  /** As the host prints it. */
  readonly peer: string;
  readonly address: Prefix;
  readonly packet: Packet;
}

/** What is added to a refusal that `force` lifts. */
export const FORCE = "say `force: true` to have the change rolled back if nobody comes through";

/**
 * What a hook sees of SSH connections like the one in use: on input the first packet of a new one, for a change is confirmed over a new one; on
 * output an answer. Nothing where the host does not say where we come from, and on forward, which no connection to the host itself passes.
 * @param port where the host does not say to which of its ports we go
 */
export function sshInUse(hook: Hook, { services, sshPort }: HostFacts, port?: number): SshInUse | undefined {
  const found = services.find(({ what }) => what === "peer");
  const address = addressOf(found?.address);
  if (!found || !address || hook === "forward") return undefined;
  const own = addressOf(found.source);
  const ownPort = sshPort ?? port;
  const common = { hook, version: versionOf(address), protocol: "tcp", laterFragment: false } as const;
  const packet: Packet =
    hook === "input"
      ? {
          ...common,
          source: address,
          ...(own === undefined ? {} : { destination: own }),
          ...(ownPort === undefined ? {} : { destinationPort: ownPort }),
          in: found.device,
          connection: "new",
          tcp: "opening",
          toThisHost: true,
        }
      : {
          ...common,
          ...(own === undefined ? {} : { source: own }),
          destination: address,
          ...(ownPort === undefined ? {} : { sourcePort: ownPort }),
          out: found.device,
          connection: "established",
          isAnswer: true,
          tcp: "later",
          fromThisHost: true,
        };
  return { peer: found.address, address, packet };
}

function addressOf(text: string | undefined): Prefix | undefined {
  const parsed = text === undefined ? "" : parsePrefix(text);
  return typeof parsed === "string" ? undefined : parsed;
}
