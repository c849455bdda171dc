import { HostError } from "../core/errors";
import {
  compareFile,
  countDifferences,
  type Differences,
  differences,
  type Drift,
  type Rules,
  rulesWithDrift,
  withDrift,
} from "../core/files/drift";
import { digest, type HostFile } from "../core/files/host-file";
import type { HostFacts, HostSnapshot } from "../core/files/snapshot";
import { absent, describeAwaited } from "../core/links/awaited";
import type { PooledHost } from "../host/pool";
import { type Change, DEFAULT_DEADLINE_SECONDS } from "../host/transaction";
import { withContent } from "./beside";
import { noteDrifted } from "./repairs";
import { masked } from "./secrets";
import { type AnyKind, isLoaded } from "./spec";
import type { Reporter } from "./status";
import { type Confirmed, filesOf, hostOfState, labelOf, type Stored } from "./stored";
import { isSame, type Props } from "./wire";

/**
 * Looks twice, both times against what was last confirmed: at the files ("wrong after a reboot") and at what is in force
 * ("wrong now"). Returns the map `rules` with the drift in it; `undefined` when nothing of the resource stands.
 * @throws HostError when the host cannot be reached, or lacks the tools of the kind
 */
export async function observe(spec: AnyKind, id: string, current: Stored): Promise<Rules | undefined> {
  const host = hostOfState(current);
  const first = await host.snapshots.look(current.report.status);
  const ownTexts = () => textsOf(spec, id, current, first.facts.network);
  // Most reads find every file as it was confirmed, and have no need of our own texts.
  const areFilesRight = allAsConfirmed(spec, current.applied, first);
  const texts = areFilesRight ? [] : await ownTexts();
  const snapshot = await withLostCopies(host, first, current, texts);
  const broken = snapshot.errors[spec.domain];
  if (broken !== undefined)
    throw new HostError({ code: "missing-tool", host: host.remote.name, step: "read the host", reason: broken });

  const paths = Object.keys(current.applied?.files ?? Object.fromEntries(texts.map(({ path }) => [path, ""])));
  const live = spec.drift(current.object, current.intent, snapshot);
  if (paths.every((path) => !snapshot.files.has(path)) && !live.present()) return undefined;

  for (const warning of live.warnings ?? []) current.report.warning(warning);
  sayExpired(spec, current.intent, current.report, snapshot.facts);
  const rules = current.applied?.rules ?? spec.rules(current.object, current.intent);
  const ofFiles = new Map(
    areFilesRight ? [] : paths.flatMap((path) => [...fileDrift(path, texts, snapshot, current.applied?.files[path], rules)]),
  );
  const ofBoot = isLoaded(spec) ? bootDrift(paths, snapshot) : new Map<string, string>();
  const drift = new Map([...ofFiles, ...live.drift, ...ofBoot]);
  const ofLive = [...live.drift.keys()];
  const where = { files: ofFiles.size + ofBoot.size > 0 || ofLive.some(isOfFile), kernel: !ofLive.every(isOfFile) };
  // Most reads find none, and a resource may have very many lines.
  const found =
    drift.size === 0
      ? rules
      : tellOfDrift(spec, id, current, { host, texts: areFilesRight ? await ownTexts() : texts, rules, drift, where });
  const { shut } = snapshot.facts;
  if (isLoaded(spec) && shut.length > 0)
    current.report.warning(
      `${labelOf(spec, current)}: the host could not load its rules, and has shut what they guard (${shut.join(", ")})`,
    );
  for (const one of absent(spec.awaits?.(current.intent) ?? [], snapshot.facts))
    current.report.note(describeAwaited(one, snapshot.facts));
  return found;
}

/** Names what of a resource has ended by itself. The rules stand until the program takes them out. */
export function sayExpired(spec: AnyKind, intent: Props, report: Reporter, facts?: HostFacts): void {
  const expired = spec.expired?.(intent, new Date(), facts);
  if (expired !== undefined) report.note(expired);
}

interface Found {
  readonly host: PooledHost;
  readonly texts: readonly HostFile[];
  /** As they were confirmed. */
  readonly rules: Rules;
  readonly drift: Drift;
  readonly where: Where;
}

/** Tells the user of the drift, and what is due to repair it. Answers the rules with it. */
function tellOfDrift(spec: AnyKind, id: string, current: Stored, { host, texts, rules, drift, where }: Found): Rules {
  const lines = spec.lines(current.object, current.intent);
  // States of earlier packages hold their rules line by line; what those lines were is not to be known otherwise.
  const isOfToday = isSame(rules, spec.rules(current.object, current.intent));
  const wanted = isOfToday ? Object.fromEntries(lines.map(({ id: line, text }) => [line, text])) : rules;
  const found = withDrift(wanted, drift);
  const [before, now] = current.hasSecretRules ? masked(wanted, found) : [wanted, found];
  const differing = differences(before, now, spec.domain === "nft");
  if (differing.lines.length > 0) {
    warnOfDrift(spec, current, differing, where);
    // What today's package would write otherwise is an update of its own.
    if (texts.length > 0 && texts.every(({ path, text }) => digest(text) === current.applied?.files[path]))
      noteDrifted({ host, change: repairOf(spec, id, current, texts), note: current.report.note });
  }
  return rulesWithDrift(rules, lines, drift);
}

/** What drifted: the files, which a reboot would bring, the kernel, or both. */
interface Where {
  readonly files: boolean;
  readonly kernel: boolean;
}

/** Drift of the host's own network configuration, which is about the next boot. */
const isOfFile = (id: string) => id.startsWith("file ") || id.endsWith(" configured_as");

/** What would be otherwise after a reboot although it stands now: of the resource's own files, and of those beside them that are nobody's. */
function bootDrift(paths: readonly string[], { facts, confirmed }: HostSnapshot): Map<string, string> {
  const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
  const folders = new Set(paths.map(folderOf));
  const concerns = (path: string) => paths.includes(path) || (folders.has(folderOf(path)) && !confirmed.has(path));
  return new Map([
    ...facts.damaged.map((path) => [`damaged: ${path}`, "boot or udev would not load the rules"] as const),
    ...[...facts.atBoot].flatMap(([path, text]) => (concerns(path) ? [[`at boot: ${path}`, text] as const] : [])),
  ]);
}

/** The files as today's package writes them; none where what they are made of is not beside the program any more. */
async function textsOf(spec: AnyKind, id: string, current: Stored, network: string): Promise<HostFile[]> {
  const intent = await withContent(spec, current.intent).catch(() => undefined);
  return intent === undefined ? [] : filesOf(spec, { ...current, intent }, id, network);
}

/** Whether each file, and its confirmed copy, is to the byte what was confirmed, and root's alone to write. */
function allAsConfirmed(spec: AnyKind, applied: Confirmed | undefined, { files, confirmed }: HostSnapshot): boolean {
  if (applied === undefined) return false;
  return Object.entries(applied.files).every(([path, sum]) => {
    const found = files.get(path);
    if (found === undefined || found.text !== confirmed.get(path) || digest(found.text) !== sum) return false;
    return found.mode === modeOf(spec) && found.uid === 0 && found.gid === 0;
  });
}

const modeOf = ({ domain }: AnyKind): HostFile["mode"] => (domain === "sudo" ? "0440" : "0644");

/** A confirmed copy that was tampered with is no measure; our own text is, as long as it is what was applied. */
async function withLostCopies(
  host: PooledHost,
  snapshot: HostSnapshot,
  { applied, report: { status } }: Stored,
  texts: readonly HostFile[],
): Promise<HostSnapshot> {
  const lost = texts.filter(({ path, text }) => digest(text) === applied?.files[path] && snapshot.confirmed.get(path) !== text);
  return lost.length > 0 ? host.snapshots.lookWith(lost, status) : snapshot;
}

function repairOf(spec: AnyKind, id: string, current: Stored, puts: readonly HostFile[]): Change {
  return {
    label: labelOf(spec, current),
    action: "updated",
    object: current.object,
    owner: id,
    puts,
    keeps: [],
    drops: [],
    held: [],
    adopt: current.access.adopt ?? false,
    changesFacts: spec.domain === "links",
    deadlineSeconds: current.access.confirmDeadlineSeconds ?? DEFAULT_DEADLINE_SECONDS,
    onStatus: current.report.status,
  };
}

const MOST_LINES = 24;

/** One warning, whose first line makes sense alone: the CLI's status line shows no more of it. */
function warnOfDrift(spec: AnyKind, current: Stored, differing: Differences, drifted: Where): void {
  const { lines } = differing;
  const more = lines.length - MOST_LINES;
  current.report.warning(
    [
      `${labelOf(spec, current)} differs from what was last applied, ${countDifferences(differing)}: ${lines[0] ?? ""}`,
      ...(lines.length > 1 ? lines.slice(0, MOST_LINES).map((line) => `  ${line}`) : []),
      ...(more > 0 ? [`  … and ${more} more`] : []),
      ...(isLoaded(spec) ? [`  ${atReboot(drifted)}`] : []),
    ].join("\n"),
  );
}

function atReboot({ files, kernel }: Where): string {
  if (!files) return "the files are as last applied: a reboot would repair the kernel";
  return kernel
    ? "neither the kernel nor the files are as last applied: a reboot would not repair it"
    : "the kernel is as last applied, the files are not: a reboot would bring the change";
}

function fileDrift(
  path: string,
  texts: readonly HostFile[],
  snapshot: HostSnapshot,
  confirmed: string | undefined,
  rules: Rules,
): Drift {
  const found = snapshot.files.get(path);
  const ours = texts.find((file) => file.path === path);
  const copy = snapshot.confirmed.get(path);
  // What the text was when it was confirmed: today's package may write it otherwise.
  const text =
    ours && digest(ours.text) === confirmed ? ours.text : copy !== undefined && digest(copy) === confirmed ? copy : undefined;
  // Of a list that is not beside the program any more there is the copy only.
  if (text !== undefined) return compareFile({ path, text, mode: ours?.mode ?? "0644" }, found, rules);
  if (found && digest(found.text) === confirmed) return new Map();
  return new Map([[`file ${path}`, found ? "differs from what was last applied" : "missing"]]);
}
