import Table from "cli-table3";
import type { Compiled } from "../core/netfilter/judge";
import { renderWanted, type Wanted } from "../core/netfilter/wanted-allows";
import { type HostLeaks, readLeaks } from "../host/protocol";
import { pooledHost } from "../host/pool";
import { targetOf } from "../providers/stored";
import { askHosts, renderUnreachable, type Unreachable } from "./hosts";
import { type Deployed, sortedBy } from "./stack";

/** What one fence has stopped. */
export interface Leaks {
  readonly host: string;
  readonly resource: string;
  readonly counters: readonly { readonly line: string; readonly packets: number; readonly bytes: number }[];
  /** The last lines that it logged, oldest first. */
  readonly log: readonly string[];
  /** Of a default drop: what it has logged, by the entry of `allow` that would let it pass. */
  readonly wanted?: readonly Wanted[];
}

export interface LeakReport {
  readonly leaks: readonly Leaks[];
  readonly unreachable: readonly Unreachable[];
}

/** @param stack all of it, of which `resources` are some: what one drops another one may allow by now */
export async function collectLeaks(
  resources: readonly Deployed[],
  logLines: number,
  stack: readonly Deployed[] = resources,
): Promise<LeakReport> {
  const counting = resources.filter((resource) => Object.keys(countersOf(resource)).length > 0);
  const { answers, unreachable } = await askHosts(counting, async (host, own) => {
    const found = await host.ask("report", Buffer.alloc(0), readLeaks, { step: "read the leaks" });
    const beside = stack.filter(({ stored }) => pooledHost(targetOf(stored)).remote === host).flatMap(compiled);
    return own.map((resource) => leaksOf(host.name, resource, found, { logLines, beside }));
  });
  return { leaks: answers.flat(), unreachable };
}

/** "family counter" to the id of its line; none for a kind that counts nothing, a UserOutputChain for instance. */
const countersOf = ({ spec, stored: { object, intent } }: Deployed) => spec.counters?.(object, intent) ?? {};

const compiled = ({ spec, stored: { object, intent } }: Deployed): Compiled[] => {
  const fragments = spec.fragments?.(object, intent);
  return fragments === undefined ? [] : [{ object, fragments }];
};

interface Wish {
  readonly logLines: number;
  /** What the stack has on the host. */
  readonly beside: readonly Compiled[];
}

function leaksOf(host: string, resource: Deployed, found: HostLeaks, { logLines, beside }: Wish): Leaks {
  const { spec, stored } = resource;
  const { object, origin } = stored;
  const counters = Object.entries(countersOf(resource)).map(([counter, line]) => ({
    line,
    packets: found.counted.get(counter)?.packets ?? 0,
    bytes: found.counted.get(counter)?.bytes ?? 0,
  }));
  const logged = found.logged.filter((one) => one.object === object).map(({ line }) => line);
  const wanted = spec.wanted?.(object, stored.intent, logged, beside);
  return {
    host,
    resource: `${spec.kind} ${origin.name}`,
    counters: sortedBy(counters, ({ line }) => line),
    log: logLines === 0 ? [] : logged.slice(-logLines),
    ...(wanted === undefined ? {} : { wanted }),
  };
}

/** For people: one row for each line that has counted anything, then the log, then what could be allowed. */
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
    ...leaks.flatMap(({ host, resource, wanted = [] }) =>
      wanted.length === 0
        ? []
        : [
            `\n${resource} on ${host}: what it has logged, as entries of its \`allow\``,
            ...wanted.map((one) => `  ${renderWanted(one)}`),
          ],
    ),
    ...renderUnreachable(unreachable),
  ].join("\n");
}
