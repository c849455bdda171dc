import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorCode, HostError } from "../core/errors";
import type { HostFile } from "../core/files/host-file";
import { contains, parsePrefix } from "../core/values/prefix";
import { isErrorCode, type RemoteHost } from "./remote-host";
import { packFiles } from "./tar";

/** What one resource wants changed on a host. */
export interface Change {
  /** For messages: "LeakFence private-stays-inside". */
  readonly label: string;
  readonly object: string;
  readonly owner: string;
  readonly puts: readonly HostFile[];
  /** Paths to delete, where they still belong to `owner` and the machine is `machine`. */
  readonly drops: readonly string[];
  /** The machine on which the change before this one stood. */
  readonly machine?: string;
  /** Owners that this run holds: what belongs to one of them is not taken over. */
  readonly held: readonly string[];
  /** How long the host waits for the confirmation before it puts itself back. */
  readonly deadlineSeconds: number;
  /** It makes or moves interfaces, which others look at before they change anything. */
  readonly changesFacts: boolean;
  /** Take over what is there and not ours; a later drop puts it back. */
  readonly adopt: boolean;
  readonly onStatus: (text: string) => void;
}

/** The host's own deadline, where the user sets none. */
export const DEFAULT_DEADLINE_SECONDS = 90;

/** What the host says of a change that stands. */
export interface Applied {
  /** The machine's id. */
  readonly machine: string;
  /** The host is not the machine on which the files to delete stood; nothing was deleted. */
  readonly elsewhere: boolean;
  /** What was left as it is although the resource held it, since others have changed it. */
  readonly kept: readonly string[];
}

export type Settled = Applied | HostError;

type Outcome =
  | { readonly is: "done"; readonly machine: string; readonly notes: readonly string[] }
  /** Known before anything was applied; `guilty` by index where drawbridge-host knows whose fault it is. */
  | { readonly is: "refused"; readonly reasons: ReadonlyMap<number, HostError> }
  | { readonly is: "failed"; readonly error: HostError }
  /** `suspects`: the objects whose rules have met packets since the change. */
  | { readonly is: "undone"; readonly error: HostError; readonly suspects: ReadonlySet<string> };

/**
 * Makes all changes in one transaction; where that fails, finds the guilty ones and makes the rest. Settles each change by
 * itself: what the host says when it stands and is confirmed, else why it does not.
 */
export async function transact(host: RemoteHost, changes: readonly Change[]): Promise<Map<Change, Settled>> {
  const deadlineSeconds = Math.max(...changes.map((change) => change.deadlineSeconds));
  const run: Run = { host, settled: new Map(), lockOutBudgetSeconds: deadlineSeconds, confirmSeconds: 1 };
  await settle(run, changes, deadlineSeconds);
  return run.settled;
}

interface Run {
  readonly host: RemoteHost;
  readonly settled: Map<Change, Settled>;
  /** All lock-outs that looking for the guilty one costs together stay below one deadline. */
  lockOutBudgetSeconds: number;
  /** How long the last good confirmation took. */
  confirmSeconds: number;
}

/** `searching`: a lock-out has happened, and this is a part of what caused it. */
async function settle(run: Run, changes: readonly Change[], deadlineSeconds: number, searching = false): Promise<void> {
  if (changes.length === 0) return;
  const outcome = await attempt(run, changes, deadlineSeconds);
  if (outcome.is === "undone" && searching) run.lockOutBudgetSeconds -= deadlineSeconds;
  if (outcome.is === "done") return changes.forEach((change, index) => run.settled.set(change, appliedOf(outcome, index)));
  if (outcome.is === "refused") {
    changes.forEach((change, index) => {
      const reason = outcome.reasons.get(index);
      if (reason) run.settled.set(change, reason);
    });
    return settle(
      run,
      changes.filter((change) => !run.settled.has(change)),
      deadlineSeconds,
      searching,
    );
  }
  const { code } = outcome.error.failure;
  // Nobody is to blame for these, or nobody waits for the answer any more.
  if (changes.length === 1 || code === "outcome-unknown" || code === "missing-tool" || run.host.isCancelled) {
    return changes.forEach((change) => run.settled.set(change, outcome.error));
  }
  const wasLockOut = outcome.is === "undone";
  const next = wasLockOut ? Math.max(5, Math.ceil(5 * run.confirmSeconds)) : deadlineSeconds;
  for (const part of partsOf(changes, outcome.is === "undone" ? outcome.suspects : new Set())) {
    if (wasLockOut && run.lockOutBudgetSeconds < next) {
      part.forEach((change) => run.settled.set(change, notTried(run.host, outcome.error)));
      continue;
    }
    await settle(run, part, next, searching || wasLockOut);
  }
}

/** In two: those whose rules have met packets come last; where that tells nothing, by halves. */
function partsOf(changes: readonly Change[], suspects: ReadonlySet<string>): readonly (readonly Change[])[] {
  const innocent = changes.filter(({ object }) => !suspects.has(object));
  const suspect = changes.filter(({ object }) => suspects.has(object));
  if (innocent.length > 0 && suspect.length > 0) return [innocent, suspect];
  const half = Math.ceil(changes.length / 2);
  return [changes.slice(0, half), changes.slice(half)];
}

function appliedOf({ machine, notes }: { machine: string; notes: readonly string[] }, index: number): Applied {
  const own = notes.flatMap((note) => (note.startsWith(`${index} `) ? [note.slice(`${index} `.length)] : []));
  return {
    machine,
    elsewhere: own.includes("elsewhere"),
    kept: own.flatMap((note) => (note.startsWith("kept ") ? [note.slice("kept ".length)] : [])),
  };
}

function notTried(host: RemoteHost, { failure }: HostError): HostError {
  return new HostError({
    code: "not-tried",
    host: host.name,
    step: "apply",
    reason: `another change of this run locked us out (${failure.reason})`,
  });
}

/** One transaction on the host, from sending to confirmation. @throws HostError when the host cannot be reached beforehand */
async function attempt(run: Run, changes: readonly Change[], deadlineSeconds: number): Promise<Outcome> {
  const { host } = run;
  const id = randomBytes(16).toString("hex");
  const onStatus = (text: string) => changes.forEach((change) => change.onStatus(text));
  const request = await packTransaction(id, changes, deadlineSeconds);
  let answer: string;
  try {
    answer = (await host.call("apply", request, { step: "apply", onStatus })).toString("utf8");
  } catch (error) {
    // The first stateful rule of a host can kill the session that loads it; the worker goes on, so ask for its result.
    if (!(error instanceof HostError) || error.failure.code !== "unreachable" || error.failure.step !== "apply") throw error;
    if (host.isCancelled) return undone(host, deadlineSeconds, "the run was cancelled before the confirmation");
    // Where the host's own undo has to do it, that comes after the deadline.
    answer = await resultOf(host, id, deadlineSeconds + 30);
  }
  const reasons = refusals(host, answer);
  if (reasons.size > 0) return { is: "refused", reasons };
  if (answer.startsWith("failed")) return { is: "failed", error: failed(host, answer) };
  if (answer.startsWith("unknown"))
    return { is: "failed", error: failed(host, "failed internal\ntext the host knows nothing of the transaction") };
  if (answer.startsWith("undone"))
    return undone(host, deadlineSeconds, `the confirmation came too late${brokenOf(answer)}`, changes, answer);
  onStatus("confirming over a new connection");
  return confirm(run, id, changes, deadlineSeconds, answer);
}

async function confirm(
  run: Run,
  id: string,
  changes: readonly Change[],
  deadlineSeconds: number,
  applied: string,
): Promise<Outcome> {
  const { host } = run;
  const started = Date.now();
  // Shorter than the host's own, so that we never report success after a revert.
  const deadline = AbortSignal.timeout(Math.round((deadlineSeconds * 2000) / 3));
  let isSent = false;
  const unknown = (reason: string): Outcome => {
    const wayOut = "The host undoes by itself what is not confirmed. `pulumi refresh` tells which of the two states it is in.";
    return { is: "failed", error: new HostError({ code: "outcome-unknown", host: host.name, step: "confirm", reason, wayOut }) };
  };
  try {
    await host.reconnect(deadline, (text) => changes.forEach((change) => change.onStatus(text)));
    isSent = true;
    const answer = await host.call("confirm", Buffer.from(`${id}\n`), { step: "confirm", deadline });
    if (answer.toString("utf8").startsWith("confirmed")) {
      run.confirmSeconds = (Date.now() - started) / 1000;
      return doneWith(applied);
    }
    return undone(host, deadlineSeconds, undefined, changes, await resultOf(host, id, 60, ["working", "applied"]));
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (host.isCancelled) {
      if (isSent) return unknown("applied, but neither confirmed nor seen undone: the run was cancelled before the answer");
      return undone(host, deadlineSeconds, "the run was cancelled before the confirmation");
    }
    const waited = (Date.now() - started) / 1000;
    await sleep(Math.max(0, deadlineSeconds - waited + 1) * 1000);
    // An undo may have to wait for a lock that somebody hangs on.
    const answer = await resultOf(host, id, 60, ["working", "applied"]);
    // Only its answer was lost.
    if (answer.startsWith("confirmed")) return doneWith(applied);
    if (answer.startsWith("undone"))
      return undone(host, deadlineSeconds, error.failure.reason + brokenOf(answer), changes, answer);
    return unknown(`applied, but neither confirmed nor seen undone: ${error.failure.reason}`);
  }
}

function doneWith(applied: string): Outcome {
  const notes = [...applied.matchAll(/^note (.*)$/gm)].map(([, note = ""]) => note);
  return { is: "done", machine: /^applied (\S+)/.exec(applied)?.[1] ?? "", notes };
}

/** What became of a transaction, over a new connection; tries until it has an answer that is not one of `passing`. */
async function resultOf(
  host: RemoteHost,
  id: string,
  seconds: number,
  passing: readonly string[] = ["working"],
): Promise<string> {
  const deadline = AbortSignal.timeout(seconds * 1000);
  while (!deadline.aborted) {
    try {
      await host.reconnect(deadline);
      const answer = (await host.call("result", Buffer.from(`${id}\n`), { step: "ask for the result", deadline })).toString(
        "utf8",
      );
      if (!passing.some((word) => answer.startsWith(word))) return answer;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
    await sleep(200);
  }
  return "no answer";
}

/** What the host could not put back, behind a comma. */
function brokenOf(undone: string): string {
  const broken = /^could not put back: .*$/m.exec(undone)?.[0];
  return broken === undefined ? "" : `, and it ${broken}`;
}

function undone(
  host: RemoteHost,
  deadlineSeconds: number,
  reason = "the confirmation came too late",
  changes: readonly Change[] = [],
  answer = "",
): Outcome {
  const { seen, hits, exceptions } = testimonyOf(answer, changes);
  const error = new HostError({
    code: "undone",
    host: host.name,
    step: "confirm",
    reason: [
      `no new connection after the change, so the host put itself back after ${deadlineSeconds} s: ${reason}`,
      ...hits.map(({ change, line, packets }) => `${change.label}: its rule "${line}" has met ${packets} packets since`),
      ...seen,
    ].join("\n  "),
    wayOut:
      exceptions.length > 0
        ? `The change would have locked you out. If it is meant to stand, it lacks ${exceptions.join(" and ")}.`
        : "The change would have locked you out. Look at what it does to packets between the host and this machine.",
  });
  return { is: "undone", error, suspects: new Set(hits.map(({ change }) => change.object)) };
}

/** What the host saw before it put itself back. */
function testimonyOf(answer: string, changes: readonly Change[]) {
  const seen = [...answer.matchAll(/^saw (.*)$/gm)].map(([, text = ""]) => text);
  const [, peer = "", own = ""] = /^saw our connection came from (\S+) to (\S+) by/m.exec(answer) ?? [];
  const hits = [...answer.matchAll(/^rose \S+ (\S+) (\d+)$/gm)].flatMap(([, counter = "", packets = ""]) => {
    const change = changes.find(({ object }) => counter.startsWith(`${object}.`));
    return change
      ? [
          {
            change,
            line: counter
              .slice(change.object.length + 1)
              .replace(".", " ")
              .replaceAll("_", ":"),
            packets,
          },
        ]
      : [];
  });
  const exceptions = hits.flatMap(({ line }) => {
    const [direction = "", cidr = ""] = line.split(" ");
    const address = direction === "to" ? peer : own;
    return isWithin(address, cidr)
      ? [`the exception { cidr: "${address}/${address.includes(":") ? 128 : 32}", direction: "${direction}" }`]
      : [];
  });
  return { seen, hits, exceptions: [...new Set(exceptions)] };
}

function isWithin(address: string, cidr: string): boolean {
  const [inner, outer] = [parsePrefix(address), parsePrefix(cidr)];
  return typeof inner !== "string" && typeof outer !== "string" && contains(outer, inner);
}

async function packTransaction(id: string, changes: readonly Change[], deadlineSeconds: number): Promise<Buffer> {
  const files = new Map<string, string>();
  const manifest: string[] = [];
  changes.forEach(({ puts, drops, object, owner, machine = "-", adopt }, index) => {
    const whose = `${object} ${owner} ${machine} ${adopt ? "adopt" : "-"}`;
    for (const { path, text, mode } of puts) {
      files.set(`files${path}`, text);
      manifest.push(`${index} put ${mode} ${path} ${whose}\n`);
    }
    for (const path of drops) manifest.push(`${index} drop - ${path} ${whose}\n`);
  });
  const [first, ...others] = changes;
  const holder = `${first?.label ?? ""}${others.length > 0 ? ` and ${others.length} more` : ""}`;
  files.set("request", `id ${id}\ndeadline ${deadlineSeconds}\nholder ${holder}\n`);
  files.set("held", [...new Set(changes.flatMap(({ held }) => held))].map((id) => `${id}\n`).join(""));
  files.set("manifest", manifest.join(""));
  return packFiles(files);
}

function refusals(host: RemoteHost, answer: string): Map<number, HostError> {
  const reasons = new Map<number, HostError>();
  for (const [, number, code = "", reason = ""] of answer.matchAll(/^refuse (\d+) (\S+) (.*)$/gm)) {
    if (reasons.has(Number(number))) continue;
    reasons.set(
      Number(number),
      new HostError({
        code: isErrorCode(code) ? code : "rejected",
        host: host.name,
        step: "check",
        reason: reason.trim(),
      }),
    );
  }
  return reasons;
}

function failed(host: RemoteHost, answer: string): HostError {
  const [, what = "", text = ""] = /^failed (\S+)\ntext ([^]*)$/.exec(answer) ?? [];
  const codes: Record<string, ErrorCode> = {
    "missing-tool": "missing-tool",
    "dry-run": "rejected",
    apply: "rejected",
    arm: "internal",
  };
  const wayOut =
    /egress/.test(text) && /not supported|No such file|unknown chain hook/i.test(text)
      ? "The egress hook needs Linux 5.16 and nftables 1.0.1; `egress: false` does without the second line."
      : undefined;
  const writable = !/cannot write|cannot store|read-only file system|no space left/i.test(text);
  const code = writable ? (codes[what] ?? "internal") : "not-writable";
  return new HostError({
    code,
    host: host.name,
    step: what === "dry-run" ? "try in a namespace" : "apply",
    reason: text.trim() || answer,
    ...(wayOut === undefined ? {} : { wayOut }),
  });
}
