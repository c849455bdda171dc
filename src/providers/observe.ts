import { HostError } from "../core/errors";
import { compareFile, type Drift } from "../core/files/drift";
import { digest, type HostFile } from "../core/files/host-file";
import type { HostSnapshot } from "../core/files/snapshot";
import { absent, describeAwaited } from "../core/links/awaited";
import { printable } from "../core/values/printable";
import type { PooledHost } from "../host/pool";
import { type AnyKind, isLoaded } from "./spec";
import { filesOf, hostOfState, type Rules, type Stored } from "./stored";

/**
 * Looks twice, both times against what was last confirmed: at the files ("wrong after a reboot") and at what is in force
 * ("wrong now"). Returns the map `rules` with the drift in it; `undefined` when nothing of the resource stands.
 * @throws HostError when the host cannot be reached, or lacks the tools of the kind
 */
export async function observe(spec: AnyKind, id: string, current: Stored): Promise<Rules | undefined> {
  const host = hostOfState(current);
  const first = await host.snapshots.look(current.report.status);
  const texts = filesOf(spec, current, id, first.facts.network);
  const snapshot = await withLostCopies(host, first, current, texts);
  const broken = snapshot.errors[spec.domain];
  if (broken !== undefined)
    throw new HostError({ code: "missing-tool", host: host.remote.name, step: "read the host", reason: broken });

  const paths = Object.keys(current.applied?.files ?? Object.fromEntries(texts.map(({ path }) => [path, ""])));
  const live = spec.drift(current.object, current.intent, snapshot);
  if (!live.present && paths.every((path) => !snapshot.files.has(path))) return undefined;

  const wanted = current.applied?.rules ?? spec.rules(current.object, current.intent);
  const ofFiles = new Map(paths.flatMap((path) => [...fileDrift(path, texts, snapshot, current.applied?.files[path], wanted)]));
  const ofBoot = isLoaded(spec) ? bootDrift(paths, snapshot) : new Map<string, string>();
  const found = drifted(drifted(drifted(wanted, ofFiles), live.drift), ofBoot);
  report(current, differences(wanted, found), {
    spec,
    files: ofFiles.size + ofBoot.size > 0 || [...live.drift.keys()].some(isOfFile),
    kernel: ![...live.drift.keys()].every(isOfFile),
    shut: snapshot.facts.shut,
  });
  for (const one of absent(spec.awaits?.(current.intent) ?? [], snapshot.facts))
    current.report.note(describeAwaited(one, snapshot.facts));
  return found;
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

function report(
  { report: { warning } }: Stored,
  changes: readonly string[],
  found: { spec: AnyKind; files: boolean; kernel: boolean; shut: readonly string[] },
): void {
  if (changes.length > 0) warning(`not as confirmed:\n${changes.join("\n")}`);
  if (!isLoaded(found.spec)) return;
  if (found.kernel && !found.files) warning("the files are as confirmed: a reboot would repair the kernel");
  if (found.kernel && found.files) warning("neither the kernel nor the files are as confirmed: a reboot would not repair it");
  if (!found.kernel && found.files) warning("the kernel is as confirmed, the files are not: a reboot would bring the change");
  if (found.shut.length > 0)
    warning(`the host could not load its rules and has shut the forwarding that they guard (${found.shut.join(", ")})`);
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
  if (ours && text !== undefined) return compareFile({ ...ours, text }, found, rules);
  if (found && digest(found.text) === confirmed) return new Map();
  return new Map([[`file ${path}`, found ? "not as confirmed" : "missing"]]);
}

/** The rules with their drift; what is missing is left out. */
function drifted(rules: Rules, drift: Drift): Rules {
  const kept = Object.entries(rules).filter(([id]) => !drift.has(id));
  // Strangers' lines go into diffs.
  const found = [...drift].flatMap(([id, line]) => (line === undefined ? [] : [[printable(id), printable(line)] as const]));
  return Object.fromEntries([...kept, ...found]);
}

/** One line per rule that differs, as a diff would show it; a screenful at most. */
function differences(wanted: Rules, found: Rules): string[] {
  const lines = [...new Set([...Object.keys(wanted), ...Object.keys(found)])].flatMap((id) => [
    ...(wanted[id] !== undefined && wanted[id] !== found[id] ? [`  - ${id}: ${wanted[id]}`] : []),
    ...(found[id] !== undefined && wanted[id] !== found[id] ? [`  + ${id}: ${found[id]}`] : []),
  ]);
  return lines.length > 24 ? [...lines.slice(0, 24), `  … and ${lines.length - 24} more`] : lines;
}
