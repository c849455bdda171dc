import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "../core/errors";
import { digest, type HostFile } from "../core/files/host-file";
import { contains, parsePrefix } from "../core/values/prefix";
import { isMissingEgress, type Note, readTransaction, type Testimony, type TransactionAnswer } from "./protocol";
import type { RemoteHost } from "./remote-host";
import { packFiles } from "./tar";

/** What one resource wants changed on a host. */
export interface Change {
  /** For messages: "LeakFence private-stays-inside". */
  readonly label: string;
  /** What it does to the resource, for the host's history. */
  readonly action: "created" | "updated" | "deleted";
  readonly object: string;
  readonly owner: string;
  readonly puts: readonly HostFile[];
  /** Parts that stand as they are to stand, and are not sent; the host compares them by their digests, and refuses the change where it has others. */
  readonly keeps: readonly HostFile[];
  /** Paths to delete, where they still belong to `owner` and the machine is `machine`. */
  readonly drops: readonly string[];
  /** The machine on which the change before this one stood. */
  readonly machine?: string;
  /** Owners that this run holds: what belongs to one of them is not taken over. */
  readonly held: readonly string[];
  /** How long the host waits for the confirmation before it rolls the change back. */
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
  /** What was changed beside what was asked, a sentence each. */
  readonly said: readonly string[];
}

export type Settled = Applied | HostError;

type Outcome =
  | { readonly is: "done"; readonly machine: string; readonly notes: readonly Note[] }
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
  const run: Run = {
    host,
    settled: new Map(),
    lockOutBudgetSeconds: deadlineSeconds,
    confirmSeconds: 1,
    began: Date.now(),
    undone: [],
  };
  await settle(run, changes, deadlineSeconds);
  return run.settled;
}

/**
 * What the host would refuse of the changes before the first of them; it makes none. `beside`: what else the run is about to make, since
 * a change may need it. @throws HostError when the host cannot be asked
 */
export async function preflight(
  host: RemoteHost,
  changes: readonly Change[],
  beside: readonly Change[],
): Promise<Map<Change, HostError>> {
  const alone = await refusedOf(host, changes);
  const others = [...beside, ...changes.filter((change) => !alone.has(change))];
  if (alone.size === 0 || others.length === 0) return alone;
  const together = await refusedOf(host, [...others, ...alone.keys()]);
  return new Map([...together].filter(([change]) => alone.has(change)));
}

/** What would be refused of the changes if they were one transaction, and then without those. */
async function refusedOf(host: RemoteHost, changes: readonly Change[]): Promise<Map<Change, HostError>> {
  if (changes.length === 0) return new Map();
  const tried: Attempt = { id: randomBytes(16).toString("hex"), changes, deadlineSeconds: DEFAULT_DEADLINE_SECONDS };
  const read = (payload: Buffer) => readTransaction(payload, "preflight", changes.length);
  const onStatus = (text: string) => changes.forEach((change) => change.onStatus(text));
  const answer = await host.ask("preflight", await packTransaction(tried), read, { step: "pre-flight check", onStatus });
  if (answer.is === "refused") {
    const reasons = refusals(host, answer.refusals);
    const refused = changes.flatMap((change, index) => {
      const reason = reasons.get(index);
      return reason ? [[change, reason] as const] : [];
    });
    const known = new Map(refused);
    return new Map([
      ...refused,
      ...(await refusedOf(
        host,
        changes.filter((change) => !known.has(change)),
      )),
    ]);
  }
  if (answer.is !== "failed") return new Map();
  const error = failed(host, answer);
  if (changes.length === 1 || !answer.isDryRun) return new Map(changes.map((change) => [change, error]));
  const parts = partsOf(changes, new Set());
  const found: (readonly [Change, HostError])[] = [];
  for (const part of parts) found.push(...(await refusedOf(host, part)));
  return new Map(found);
}

interface Run {
  readonly host: RemoteHost;
  readonly settled: Map<Change, Settled>;
  /** All lock-outs that looking for the guilty one costs together stay below one deadline. */
  lockOutBudgetSeconds: number;
  /** How long the last good confirmation took. */
  confirmSeconds: number;
  /** When the first attempt began, in milliseconds since 1970. */
  readonly began: number;
  /** Each attempt that the host undid: of how many changes, and after which deadline. */
  readonly undone: { readonly changes: number; readonly deadlineSeconds: number }[];
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
  // Of several that drop the same packets only one counts them: once parted by the counters and locked out again, by halves.
  for (const part of partsOf(changes, outcome.is === "undone" && !searching ? outcome.suspects : new Set())) {
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

function appliedOf({ machine, notes }: { machine: string; notes: readonly Note[] }, index: number): Applied {
  const own = notes.filter((note) => note.index === index);
  return {
    machine,
    elsewhere: own.some(({ is }) => is === "elsewhere"),
    kept: own.flatMap((note) => (note.is === "kept" ? [note.what] : [])),
    said: own.flatMap((note) => (note.is === "said" ? [note.what] : [])),
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

/** Changes that are tried together, and the host's deadline for them. */
interface Attempt {
  readonly id: string;
  readonly changes: readonly Change[];
  readonly deadlineSeconds: number;
}

/** One transaction on the host, from sending to confirmation. @throws HostError when the host cannot be reached beforehand */
async function attempt(run: Run, changes: readonly Change[], deadlineSeconds: number): Promise<Outcome> {
  const { host } = run;
  const tried: Attempt = { id: randomBytes(16).toString("hex"), changes, deadlineSeconds };
  const onStatus = (text: string) => changes.forEach((change) => change.onStatus(text));
  const request = await packTransaction(tried);
  let answer: TransactionAnswer | undefined;
  try {
    const read = (payload: Buffer) => readTransaction(payload, "apply", changes.length);
    answer = await host.ask("apply", request, read, { step: "apply", onStatus });
  } catch (error) {
    // The first stateful rule of a host can kill the session that loads it; the worker goes on, so ask for its result.
    if (!(error instanceof HostError) || error.failure.code !== "unreachable" || error.failure.step !== "apply") throw error;
    if (host.isCancelled) return undone(run, tried, CANCELLED);
    onStatus("the connection was lost while the change was applied; asking what became of it");
    // Where the host's own undo has to do it, that comes after the deadline.
    answer = await resultOf(host, tried, deadlineSeconds + 30, ["working"]);
    if (answer === undefined) return unknown(host, `sent, and then no answer: ${error.failure.reason}`);
  }
  switch (answer.is) {
    case "applied":
      onStatus("confirming over a new connection");
      return confirm(run, tried, answer);
    case "refused":
      return { is: "refused", reasons: refusals(host, answer.refusals) };
    case "failed":
      return { is: "failed", error: failed(host, answer) };
    case "undone":
      return undone(run, tried, `the confirmation came too late${brokenOf(answer)}`, answer);
    default:
      return unknown(host, `sent, and then the host knew nothing of it ("${answer.is}")`);
  }
}

const CANCELLED = "the run was cancelled before the confirmation";

/** Nobody can say whether it stands. */
function unknown(host: RemoteHost, reason: string): Outcome {
  const wayOut = "The host undoes by itself what is not confirmed. `pulumi refresh` tells which of the two states it is in.";
  return { is: "failed", error: new HostError({ code: "outcome-unknown", host: host.name, step: "confirm", reason, wayOut }) };
}

type AppliedAnswer = Extract<TransactionAnswer, { readonly is: "applied" }>;

async function confirm(run: Run, tried: Attempt, { machine, notes }: AppliedAnswer): Promise<Outcome> {
  const { host } = run;
  const { id, changes, deadlineSeconds } = tried;
  const done: Outcome = { is: "done", machine, notes };
  const started = Date.now();
  // Shorter than the host's own, so that we never report success after a revert.
  const deadline = AbortSignal.timeout(Math.round((deadlineSeconds * 2000) / 3));
  let isSent = false;
  try {
    await host.reconnect(deadline, (text) => changes.forEach((change) => change.onStatus(text)));
    isSent = true;
    const read = (payload: Buffer) => readTransaction(payload, "confirm", changes.length);
    const answer = await host.ask("confirm", Buffer.from(`${id}\n`), read, { step: "confirm", deadline });
    if (answer.is === "confirmed") {
      run.confirmSeconds = (Date.now() - started) / 1000;
      return done;
    }
    return await afterwards(run, tried, done, "the confirmation came too late");
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (host.isCancelled) {
      if (isSent) return unknown(host, "applied, but neither confirmed nor seen undone: the run was cancelled before the answer");
      return undone(run, tried, CANCELLED);
    }
    const waited = (Date.now() - started) / 1000;
    await sleep(Math.max(0, deadlineSeconds - waited + 1) * 1000);
    return afterwards(run, tried, done, error.failure.reason);
  }
}

/** What became of a change that was not seen confirmed; `done` where only the answer was lost. */
async function afterwards(run: Run, tried: Attempt, done: Outcome, reason: string): Promise<Outcome> {
  // An undo may have to wait for a lock that somebody hangs on.
  const answer = await resultOf(run.host, tried, 60, ["working", "applied"]);
  if (answer?.is === "confirmed") return done;
  if (answer?.is === "undone") return undone(run, tried, reason + brokenOf(answer), answer);
  return unknown(run.host, `applied, but neither confirmed nor seen undone: ${reason}`);
}

/** What became of a transaction, over a new connection; tries until it has an answer that is not one of `passing`. Nothing when there is none. */
async function resultOf(
  host: RemoteHost,
  { id, changes }: Attempt,
  seconds: number,
  passing: readonly TransactionAnswer["is"][],
): Promise<TransactionAnswer | undefined> {
  const deadline = AbortSignal.timeout(seconds * 1000);
  const read = (payload: Buffer) => readTransaction(payload, "result", changes.length);
  while (!deadline.aborted) {
    try {
      await host.reconnect(deadline);
      const answer = await host.ask("result", Buffer.from(`${id}\n`), read, { step: "ask for the result", deadline });
      if (!passing.includes(answer.is)) return answer;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      // Who answers so will not answer better.
      if (error.failure.code === "bad-answer") return undefined;
    }
    await sleep(200);
  }
  return undefined;
}

/** What the host could not put back, behind a comma. */
function brokenOf({ broken }: Testimony): string {
  return broken === undefined ? "" : `, and it ${broken}`;
}

const NOTHING_SEEN: Testimony = { broken: undefined, seen: [], peer: "", own: "", rose: [] };

function undone(run: Run, tried: Attempt, reason: string, testimony = NOTHING_SEEN): Outcome {
  const { changes, deadlineSeconds } = tried;
  run.undone.push({ changes: changes.length, deadlineSeconds });
  const hits = hitsOf(testimony, changes);
  const exceptions = [...new Set(hits.flatMap(({ counter }) => exceptionFor(counter, testimony)))];
  const unmet = changes.filter((change) => !hits.some((hit) => hit.change === change));
  const error = new HostError({
    code: "undone",
    host: run.host.name,
    step: "confirm",
    reason: [
      `no new connection came through after the change, so the host rolled it back after ${deadlineSeconds} s: ${reason}`,
      ...timesOf(run),
      ...hits.map(({ change, counter, packets }) => `${change.label}: its rule "${counter}" has met ${packets} packets since`),
      ...unmet.flatMap(({ label, puts }) => {
        const held = puts.flatMap(({ text }) => heldBy(text));
        return held.length === 0 ? [] : [`${label}: no counter can tell; it sets ${held.slice(0, 8).join(", ")}`];
      }),
      ...testimony.seen,
    ].join("\n  "),
    wayOut:
      exceptions.length > 0
        ? `The change would have locked you out. If it is meant to stand, it lacks ${exceptions.join(" and ")}.`
        : "The change would have locked you out. Look at what it does to packets between the host and this machine.",
  });
  return { is: "undone", error, suspects: new Set(hits.map(({ change }) => change.object)) };
}

/** How long the search for the guilty change was, where it took more than one attempt. */
function timesOf({ undone, began }: Run): string[] {
  if (undone.length < 2) return [];
  const all = undone.map(
    ({ changes, deadlineSeconds }) => `${changes === 1 ? "1 change" : `${changes} changes`} after ${deadlineSeconds} s`,
  );
  return [`rolled back in this run: ${all.join(", then ")}; ${Math.round((Date.now() - began) / 1000)} s in all`];
}

/** The changes whose rules have met packets, each rule by the name of its counter: "to 10.0.0.0/8". What a rule has let pass locks nobody out. */
function hitsOf({ rose }: Testimony, changes: readonly Change[]) {
  return rose.flatMap(({ counter, packets }) => {
    const change = changes.find(({ object }) => counter.startsWith(`${object}.`));
    const lets = ({ text }: HostFile) => text.includes(`counter name "${counter}" accept`) || text.includes("\n# opens\n");
    if (change === undefined || change.puts.some(lets)) return [];
    const own = counter.slice(change.object.length + 1);
    return [{ change, counter: own.replace(".", " ").replaceAll("_", ":"), packets }];
  });
}

/** What a file holds of interfaces, as "eth0 master br0"; its rules have no counters. */
const heldBy = (text: string) => [...text.matchAll(/^link (.+)$/gm)].map(([, held = ""]) => held);

/** The exception that a rule lacks, if it met our own connection. A fence judges the host's own sender, a tunnel's drop the far one. */
function exceptionFor(counter: string, { peer, own }: Testimony): string[] {
  const [judged = "", cidr = ""] = counter.split(" ");
  const [address = "", direction = ""] =
    { to: [peer, "to"], from: [own, "from"], out: [peer, "to"], in: [peer, "from"] }[judged] ?? [];
  if (!isWithin(address, cidr)) return [];
  return [`the exception { cidr: "${address}/${address.includes(":") ? 128 : 32}", direction: "${direction}" }`];
}

function isWithin(address: string, cidr: string): boolean {
  const [inner, outer] = [parsePrefix(address), parsePrefix(cidr)];
  return typeof inner !== "string" && typeof outer !== "string" && contains(outer, inner);
}

async function packTransaction({ id, changes, deadlineSeconds }: Attempt): Promise<Buffer> {
  const files = new Map<string, string>();
  const manifest: string[] = [];
  changes.forEach(({ puts, keeps, drops, object, owner, machine = "-", adopt }, index) => {
    const whose = `${object} ${owner} ${machine} ${adopt ? "adopt" : "-"}`;
    for (const { path, text, mode } of puts) {
      files.set(`files${path}`, text);
      manifest.push(`${index} put ${mode} ${path} ${whose}\n`);
    }
    for (const { path, text } of keeps) manifest.push(`${index} keep ${digest(text)} ${path} ${whose}\n`);
    for (const path of drops) manifest.push(`${index} drop - ${path} ${whose}\n`);
  });
  const [first, ...others] = changes;
  const holder = `${first?.label ?? ""}${others.length > 0 ? ` and ${others.length} more` : ""}`;
  // The host takes the first line of a name, and a name may hold anything.
  const action = others.every((change) => change.action === first?.action) ? first?.action : "changed";
  files.set("request", `id ${id}\ndeadline ${deadlineSeconds}\naction ${action ?? "changed"}\nholder ${holder}\n`);
  files.set("held", [...new Set(changes.flatMap(({ held }) => held))].map((id) => `${id}\n`).join(""));
  files.set("manifest", manifest.join(""));
  return packFiles(files);
}

type Refusals = Extract<TransactionAnswer, { readonly is: "refused" }>["refusals"];

function refusals(host: RemoteHost, said: Refusals): Map<number, HostError> {
  return new Map([...said].map(([index, reason]) => [index, new HostError({ ...reason, host: host.name, step: "check" })]));
}

function failed(host: RemoteHost, { code, isDryRun, reason }: Extract<TransactionAnswer, { readonly is: "failed" }>): HostError {
  const wayOut = isMissingEgress(reason)
    ? "The egress hook needs Linux 5.16 and nftables 1.0.1; `egress: false` does without the second line."
    : undefined;
  return new HostError({
    code,
    host: host.name,
    step: isDryRun ? "try in a namespace" : "apply",
    reason,
    ...(wayOut === undefined ? {} : { wayOut }),
  });
}
