import Table from "cli-table3";
import { HostError } from "../core/errors";
import { pooledHost } from "../host/pool";
import { type HostLeaks, readLeaks } from "../host/protocol";
import { targetOf } from "../providers/stored";
import { type Deployed, sortedBy } from "./stack";

/** What one fence has stopped. */
export interface Leaks {
  readonly host: string;
  readonly resource: string;
  readonly counters: readonly { readonly line: string; readonly packets: number; readonly bytes: number }[];
  /** The last lines that it logged, oldest first. */
  readonly log: readonly string[];
}

export interface LeakReport {
  readonly leaks: readonly Leaks[];
  /** Hosts that could not be asked, and why. */
  readonly unreachable: readonly { readonly host: string; readonly reason: string }[];
}

/** Asks each host of these resources once, all at the same time; one that is dead does not stop the others. */
export async function collectLeaks(resources: readonly Deployed[], logLines: number): Promise<LeakReport> {
  const counting = resources.filter((resource) => Object.keys(countersOf(resource)).length > 0);
  const hosts = new Map(counting.map((resource) => [pooledHost(targetOf(resource.stored)), [] as Deployed[]]));
  for (const resource of counting) hosts.get(pooledHost(targetOf(resource.stored)))?.push(resource);
  const answers = await Promise.all(
    [...hosts].map(async ([{ remote }, own]) => {
      try {
        const found = await remote.ask("report", Buffer.alloc(0), readLeaks, { step: "read the leaks" });
        return { leaks: own.map((resource) => leaksOf(remote.name, resource, found, logLines)), unreachable: [] };
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        return { leaks: [], unreachable: [{ host: remote.name, reason: error.message }] };
      }
    }),
  );
  return {
    leaks: sortedBy(
      answers.flatMap(({ leaks }) => leaks),
      ({ host, resource }) => `${host} ${resource}`,
    ),
    unreachable: sortedBy(
      answers.flatMap(({ unreachable }) => unreachable),
      ({ host }) => host,
    ),
  };
}

/** "family counter" to the id of its line; none for a kind that counts nothing, a UserOutputChain for instance. */
const countersOf = ({ spec, stored: { object, intent } }: Deployed) => spec.counters?.(object, intent) ?? {};

function leaksOf(host: string, resource: Deployed, found: HostLeaks, logLines: number): Leaks {
  const { spec, stored } = resource;
  const { object, origin } = stored;
  const counters = Object.entries(countersOf(resource)).map(([counter, line]) => ({
    line,
    packets: found.counted.get(counter)?.packets ?? 0,
    bytes: found.counted.get(counter)?.bytes ?? 0,
  }));
  const log = logLines === 0 ? [] : found.logged.filter((one) => one.object === object).slice(-logLines);
  return {
    host,
    resource: `${spec.kind} ${origin.name}`,
    counters: sortedBy(counters, ({ line }) => line),
    log: log.map(({ line }) => line),
  };
}

/** For people: one row for each line that has counted anything, then the log. */
export function renderLeaks({ leaks, unreachable }: LeakReport): string {
  const table = new Table({ head: ["host", "resource", "line", "packets", "bytes"], style: { head: [], border: [] } });
  for (const { host, resource, counters } of leaks) {
    const counted = counters.filter(({ packets }) => packets > 0);
    for (const { line, packets, bytes } of counted) table.push([host, resource, line, packets, bytes]);
    if (counted.length === 0) table.push([host, resource, "nothing", 0, 0]);
  }
  const logs = leaks.flatMap(({ resource, log }) =>
    log.length === 0 ? [] : [`\n${resource}`, ...log.map((line) => `  ${line}`)],
  );
  return [
    ...(leaks.length === 0 ? ["No fence of this stack counts anything."] : [table.toString()]),
    ...logs,
    ...unreachable.map(({ host, reason }) => `\n${host} could not be asked: ${reason}`),
  ].join("\n");
}
