import { type HostStanding, readStanding } from "../host/protocol";
import { askHosts, renderUnreachable, type Unreachable } from "./hosts";
import type { Deployed } from "./stack";

/** How one host stands, as it says itself. */
export interface HostStatus {
  readonly host: string;
  readonly resources: readonly {
    readonly resource: string;
    /** `missing`: the stack has it, and the host has nothing of it. */
    readonly state: "stands" | "waits" | "missing";
    /** "interface eth1", "user maggie" */
    readonly waitsFor: readonly string[];
  }[];
  /** Whose change is applied and not confirmed yet. */
  readonly pending: readonly string[];
  /** Whose change could not be rolled back completely yet. */
  readonly unfinished: readonly string[];
  /** `drawbridge-host lift` has taken all rules out of the kernel. */
  readonly lifted: boolean;
  /** Tables that do not load, so that the host drops what they guard. */
  readonly failClosed: readonly string[];
  /** What the last load (at boot, for a new device, by hand) could not do, in the host's words. */
  readonly faults: readonly string[];
  /** Resources on the host that this stack does not have. */
  readonly others: readonly string[];
}

export interface StatusReport {
  readonly hosts: readonly HostStatus[];
  readonly unreachable: readonly Unreachable[];
}

/** Looks at what the hosts hold, not at each line of it: that is what a refresh does. */
export async function collectStatus(resources: readonly Deployed[]): Promise<StatusReport> {
  const { answers, unreachable } = await askHosts(resources, async (host, own) => {
    const found = await host.ask("report", Buffer.alloc(0), readStanding, { step: "read the status" });
    return statusOf(host.name, own, found);
  });
  return { hosts: answers, unreachable };
}

function statusOf(host: string, own: readonly Deployed[], found: HostStanding): HostStatus {
  const { held, waits, ...rest } = found;
  const ours = new Set(own.map(({ stored }) => stored.object));
  return {
    host,
    resources: own.map(({ spec, stored: { object, origin } }) => {
      const waitsFor = waits.flatMap((one) => (one.object === object ? [one.what] : []));
      const state = !held.has(object) ? "missing" : waitsFor.length > 0 ? "waits" : "stands";
      return { resource: `${spec.kind} ${origin.name}`, state, waitsFor };
    }),
    ...rest,
    others: [...held].flatMap(([object, from]) => (ours.has(object) ? [] : [from])).sort(),
  };
}

/** For people: a paragraph for each host. */
export function renderStatus({ hosts, unreachable }: StatusReport): string {
  if (hosts.length + unreachable.length === 0) return "This stack has no resources of Drawbridge.";
  return [...hosts.map(renderHost), ...renderUnreachable(unreachable)].join("\n").replace(/^\n/, "");
}

function renderHost({ host, resources, pending, unfinished, lifted, failClosed, faults, others }: HostStatus): string {
  const width = Math.max(0, ...resources.map(({ resource }) => resource.length));
  const rows = resources.map(({ resource, state, waitsFor }) => {
    const text = { stands: "stands", waits: `waits for ${waitsFor.join(", ")}`, missing: "is not on this host" }[state];
    return `  ${resource.padEnd(width)}  ${text}`;
  });
  return [
    `\n${host}`,
    ...rows,
    ...pending.map((whose) => `  pending, not confirmed yet: ${whose}`),
    ...unfinished.map((whose) => `  not rolled back completely yet: ${whose}; each call of the host tries again`),
    ...(lifted ? ["  lifted: no rule stands in the kernel until `drawbridge-host unlift` on the host"] : []),
    ...failClosed.map((family) => `  fail closed: the table ${family} does not load, and what it guards is dropped`),
    ...faults.map((fault) => `  not done by the last load (\`systemctl restart drawbridge\` loads anew): ${fault}`),
    ...(others.length > 0 ? [`  and ${others.length} of others: ${others.join(", ")}`] : []),
  ].join("\n");
}
