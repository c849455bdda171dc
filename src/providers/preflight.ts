import { type ErrorCode, HostError } from "../core/errors";
import { absent, describeAwaited } from "../core/links/awaited";
import { objectName } from "../core/values/names";
import { type PooledHost, pooledHost } from "../host/pool";
import type { Change } from "../host/transaction";
import { leaveNoTrace, refusedBy, sayWarnings } from "./before";
import { withContent } from "./beside";
import { changeOf } from "./change";
import { groupsDeclaredOn } from "./claims";
import type { AnyKind, Problem } from "./spec";
import { type Reporter, reporterFor } from "./status";
import { pinnedFor, readStored, type Stored, targetOf } from "./stored";
import { systemGroup } from "./system-group";
import { hasUnknown, type Props } from "./wire";

/**
 * What a preview asks the host of a resource that will be made or changed: with DRAWBRIDGE_PREFLIGHT=1 all that an `up` would refuse
 * before it changes anything, else nothing. What was not asked is said once per run. Returns why the host would refuse it.
 */
export async function previewed(spec: AnyKind, id: string, news: Props, olds: Props | undefined): Promise<Problem[]> {
  const report = reporterFor(news["__urn"]);
  if (process.env["DRAWBRIDGE_PREFLIGHT"] !== "1") {
    sayOnce(report, NOT_ASKED);
    return [];
  }
  if (hasUnknown(news)) {
    sayOnce(report, PARTLY_ASKED);
    return [];
  }
  const next = readStored(spec, news);
  const intent = await withContent(spec, next.intent);
  return preflight(spec, id, { ...next, intent }, olds && readStored(spec, olds));
}

const NOT_ASKED =
  "this preview asks no host whether it takes what is new or changed: its host key, sudo, users, files and rules are seen by `up`, or by DRAWBRIDGE_PREFLIGHT=1 pulumi preview";
const PARTLY_ASKED =
  "the host is not asked about this resource, nor about others with values that nobody knows before `up`; whether it takes them is seen by `up`";

const said = new Set<string>();
function sayOnce(report: Reporter, text: string): void {
  if (!said.has(text)) report.note(text);
  said.add(text);
}

async function preflight(spec: AnyKind, id: string, next: Stored, previous: Stored | undefined): Promise<Problem[]> {
  const host = pooledHost(targetOf({ ...next, hostKey: previous && pinnedFor(next, previous) }));
  try {
    const survey = await host.snapshots.lookForFacts(next.report.status);
    const problems = refusedBy(spec, next, survey, host);
    if (problems.length > 0) {
      await host.snapshots.leaveNoTrace();
      return problems;
    }
    sayWarnings(spec, next, survey);
    for (const one of absent(spec.awaits?.(next.intent) ?? [], survey.facts))
      if (!isMade(host, one.name)) next.report.note(describeAwaited(one, survey.facts));
    const change = changeOf(spec, id, next, previous, survey.facts.network);
    await host.preflight(change, spec.kind === systemGroup.kind ? [] : groupsBeside(next, change));
    noteMade(host, change);
    return [];
  } catch (error) {
    await leaveNoTrace(host, error);
    if (!(error instanceof HostError)) throw error;
    return [{ property: propertyOf(error, next.intent), reason: error.message }];
  }
}

/** The groups that the program makes on this host, which the change may need: the engine asks about one resource after the other. */
function groupsBeside({ access }: Stored, change: Change): Change[] {
  return [...groupsDeclaredOn(access.connection.host)].map((name) => {
    const object = objectName(systemGroup.kind, { project: "", stack: "", name });
    const puts = systemGroup.files({ object, owner: change.owner, from: "" }, { name, members: [] }, "");
    return { ...change, label: `SystemGroup ${name}`, object, puts, keeps: [], drops: [] };
  });
}

/** By the host's name: the bridges that this run will make, which nobody need wait for. */
const made = new Map<string, Set<string>>();
const isMade = ({ remote }: PooledHost, name: string) => made.get(remote.name)?.has(name) === true;
function noteMade({ remote }: PooledHost, { puts }: Change): void {
  const names = puts.flatMap(({ text }) => [...text.matchAll(/^link (\S+) is bridge$/gm)].flatMap(([, name = ""]) => [name]));
  made.set(remote.name, new Set([...(made.get(remote.name) ?? []), ...names]));
}

const PROPERTIES: Partial<Record<ErrorCode, string>> = {
  unreachable: "connection.host",
  "host-key": "connection.hostKey",
  authentication: "connection.user",
  sudo: "become",
  "not-root": "become",
};

/** The argument that an error is about: one that it begins with, or else the one whose value it names. */
function propertyOf({ failure: { code, reason } }: HostError, intent: Props): string {
  const known = PROPERTIES[code];
  if (known !== undefined) return known;
  if (reason.includes("`adopt: true`")) return "adopt";
  const [, named = ""] = /^([A-Za-z]+)[^:\s]*: /.exec(reason) ?? [];
  if (named in intent) return named;
  const words = new Set(reason.split(/[\s,;:"`]+/));
  return Object.keys(intent).find((key) => textsIn(intent[key]).some((text) => words.has(text))) ?? "";
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
