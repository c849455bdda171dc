import { HostError } from "../core/errors";
import type { HostSurvey } from "../core/files/snapshot";
import { absent, describeAwaited } from "../core/links/awaited";
import type { PooledHost } from "../host/pool";
import { forwardedDeclaredOn } from "./claims";
import { isOutOfReach } from "./out-of-reach";
import type { AnyKind, Problem } from "./spec";
import type { Stored } from "./stored";

/** What a change must know of its host. @throws HostError when it would be inert or dangerous there; then nothing is left of us */
export async function lookBefore(spec: AnyKind, next: Stored, host: PooledHost): Promise<HostSurvey> {
  try {
    const survey = await awaited(spec, next, host);
    const problems = refusedBy(spec, next, survey, host);
    if (problems.length === 0) {
      sayWarnings(spec, next, survey);
      return survey;
    }
    const reason = problems.map((problem) => `${problem.property}: ${problem.reason}`).join("\n  ");
    throw new HostError({ code: "refused", host: host.remote.name, step: STEP, reason });
  } catch (error) {
    await leaveNoTrace(host, error);
    throw error;
  }
}

const STEP = "pre-flight check";

/** A host that was asked and refuses is left as it was. */
export async function leaveNoTrace(host: PooledHost, error: unknown): Promise<void> {
  if (error instanceof HostError && !isOutOfReach(error)) await host.snapshots.leaveNoTrace().catch(() => undefined);
}

/** Why the host, as it was seen, would make the resource inert or dangerous. @throws HostError where it lacks the tools of the kind */
export function refusedBy(spec: AnyKind, { intent }: Stored, survey: HostSurvey, host: PooledHost): Problem[] {
  const broken = survey.errors[spec.domain];
  if (broken !== undefined) throw new HostError({ code: "missing-tool", host: host.remote.name, step: STEP, reason: broken });
  return spec.refuse(intent, survey);
}

/** What a change does to others on the host, before it is applied. */
export function sayWarnings(spec: AnyKind, { intent, report, access }: Stored, survey: HostSurvey): void {
  for (const sentence of spec.warn?.(intent, survey, forwardedDeclaredOn(access.connection)) ?? []) report.warning(sentence);
}

/** The host, once what the kind waits for is there; without a deadline of the user's at once. */
async function awaited(spec: AnyKind, { intent, report }: Stored, host: PooledHost): Promise<HostSurvey> {
  const started = Date.now();
  let survey = await host.snapshots.lookForFacts(report.status);
  for (;;) {
    const waiting = absent(spec.awaits?.(intent) ?? [], survey.facts).find(({ seconds = 0 }) => seconds > 0);
    if (!waiting) return survey;
    const { name, seconds = 0 } = waiting;
    const left = seconds * 1000 - (Date.now() - started);
    if (left <= 0)
      throw new HostError({
        code: "refused",
        host: host.remote.name,
        step: "wait",
        reason: `waitSeconds: ${name} did not appear within ${seconds} s`,
        wayOut: "Start what makes it, give it more time, or leave `waitSeconds` out: then it is taken as soon as it appears.",
      });
    report.status(`waiting for ${name}`);
    survey = await host.snapshots.lookForFactsIn(Math.min(left, 1000), report.status);
  }
}

/** Says what is still awaited once the change stands: a wave may have made it just now. */
export async function noteAwaited(
  spec: AnyKind,
  { intent, report }: Stored,
  before: HostSurvey,
  host: PooledHost,
): Promise<void> {
  const awaited = absent(spec.awaits?.(intent) ?? [], before.facts);
  if (awaited.length === 0) return;
  const { facts } = await host.snapshots.lookForFacts(report.status).catch(() => before);
  for (const one of absent(awaited, facts)) report.note(describeAwaited(one, facts));
}
