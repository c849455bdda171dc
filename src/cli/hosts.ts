import { HostError } from "../core/errors";
import { pooledHost } from "../host/pool";
import type { RemoteHost } from "../host/remote-host";
import { targetOf } from "../providers/stored";
import { type Deployed, sortedBy } from "./stack";

/** A host that could not be asked, and why. */
export interface Unreachable {
  readonly host: string;
  readonly reason: string;
}

/** Asks each host of these resources once, all at the same time; one that is dead does not stop the others. Sorted by host. */
export async function askHosts<Answer>(
  resources: readonly Deployed[],
  ask: (host: RemoteHost, own: readonly Deployed[]) => Promise<Answer>,
): Promise<{ readonly answers: readonly Answer[]; readonly unreachable: readonly Unreachable[] }> {
  const hosts = new Map<RemoteHost, Deployed[]>();
  for (const resource of resources) {
    const { remote } = pooledHost(targetOf(resource.stored));
    hosts.set(remote, [...(hosts.get(remote) ?? []), resource]);
  }
  const asked = await Promise.all(
    sortedBy([...hosts], ([{ name }]) => name).map(async ([host, own]) => {
      try {
        return { answers: [await ask(host, own)], unreachable: [] };
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        return { answers: [], unreachable: [{ host: host.name, reason: error.message }] };
      }
    }),
  );
  return {
    answers: asked.flatMap(({ answers }) => answers),
    unreachable: asked.flatMap(({ unreachable }) => unreachable),
  };
}

/** For people: a paragraph for each host that could not be asked. */
export const renderUnreachable = (unreachable: readonly Unreachable[]): string[] =>
  unreachable.map(({ host, reason }) => `\n${host} could not be asked: ${reason}`);
