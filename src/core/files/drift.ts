import type { FoundFile } from "./snapshot";
import type { HostFile } from "./host-file";
import { printable } from "../values/printable";

/** What a look found beside what was confirmed, by the ids of lines; `undefined`: the line is missing. */
export type Drift = ReadonlyMap<string, string | undefined>;

/**
 * What is wrong with a file, so that a reboot (or sudo's next start) would bring it: lines, mode, owner, or that it is gone. A
 * missing line that stands in `rules` takes that entry away.
 */
export function compareFile(wanted: HostFile, found: FoundFile | undefined, rules: Readonly<Record<string, string>>): Drift {
  const { path, text, mode } = wanted;
  if (found === undefined) return new Map([[`file ${path}`, "missing"]]);
  if (found.mode === "link") return new Map([[`file ${path}`, `replaced by a link to ${found.text}`]]);
  const drift = new Map<string, string | undefined>();
  if (found.mode !== mode) drift.set(`file ${path}: mode`, `${found.mode}, not ${mode}`);
  if (found.uid !== 0 || found.gid !== 0) drift.set(`file ${path}: owner`, `${found.uid}:${found.gid}, not root:root`);
  if (found.text !== text) {
    const [want, have] = [text.split("\n"), found.text.split("\n")];
    const missing = want.filter((line) => !have.includes(line));
    const added = have.filter((line) => !want.includes(line));
    missing.forEach((line, index) => {
      const ids = Object.keys(rules).filter((id) => rules[id] === line);
      for (const id of ids) drift.set(id, undefined);
      if (ids.length === 0) drift.set(`file ${path}: missing #${index + 1}`, line.trim());
    });
    added.forEach((line, index) => drift.set(`file ${path}: added #${index + 1}`, line.trim()));
    if (missing.length + added.length === 0) drift.set(`file ${path}`, "lines in another order, or repeated");
  }
  return drift;
}

/** What stands, or is to stand, on the host, by its id: a line, or a decision of the user's that several lines carry out. */
export type Rules = Readonly<Record<string, string>>;

/** A line on the host. */
export interface Line {
  /** Unique in its resource, sorts as text. */
  readonly id: string;
  readonly text: string;
  /** What it is for, in words. */
  readonly why: string;
  /** The entry of `rules` that it belongs to. */
  readonly rule: string;
}

/** The rules with what was found otherwise, by the ids of lines: what is missing is left out, and a line that is in no entry stands by itself. */
export function withDrift(rules: Rules, drift: Drift): Rules {
  const kept = Object.entries(rules).filter(([id]) => !drift.has(id));
  // Strangers' lines go into diffs.
  const found = [...drift].flatMap(([id, line]) =>
    line === undefined && id in rules ? [] : [[printable(id), printable(line ?? "missing")] as const],
  );
  return Object.fromEntries([...kept, ...found]);
}

/**
 * The same where an entry may stand for several lines: a line that is otherwise stands beside the entries, by its own id. An entry of several
 * lines of which none stands is left out, and says so for all of them.
 */
export function rulesWithDrift(rules: Rules, lines: readonly Line[], drift: Drift): Rules {
  const isMissing = (id: string) => drift.has(id) && drift.get(id) === undefined;
  const [sizes, missing] = [countByRule(lines), countByRule(lines.filter(({ id }) => isMissing(id)))];
  const gone = new Set(
    [...missing.keys()].filter((rule) => rule in rules && (sizes.get(rule) ?? 0) > 1 && sizes.get(rule) === missing.get(rule)),
  );
  const told = new Set(lines.flatMap(({ id, rule }) => (gone.has(rule) ? [id] : [])));
  const left = Object.fromEntries(Object.entries(rules).filter(([id]) => !gone.has(id)));
  return withDrift(left, new Map([...drift].filter(([id]) => !told.has(id))));
}

function countByRule(lines: readonly Line[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { rule } of lines) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  return counts;
}

/** What differs between two maps of rules, for people. */
export interface Differences {
  /** Lines that only `wanted` has, only `found` has, and that both have in other words. */
  readonly less: number;
  readonly more: number;
  readonly changed: number;
  /** One entry a difference, as a diff would show it; of a table that is gone, one for all its lines. */
  readonly lines: readonly string[];
}

/**
 * Compares two maps of rules. Where `wanted` has several lines of one table (the first word of their ids, in kinds of netfilter) and
 * `found` none of them, that is one difference.
 */
export function differences(wanted: Rules, found: Rules, isNetfilter: boolean): Differences {
  const tableOf = (id: string) => id.split(" ")[0] ?? "";
  const kept = new Set(Object.keys(found).flatMap((id) => (id in wanted ? [tableOf(id)] : [])));
  const sizes = new Map<string, number>();
  for (const id of Object.keys(wanted)) sizes.set(tableOf(id), (sizes.get(tableOf(id)) ?? 0) + 1);
  // Of a single line it is the table only where what leads to it is missing as well.
  const isUnled = (table: string) =>
    Object.keys(found).some((id) => id.startsWith(`${table} damaged: `) && found[id] === "missing");
  const gone = new Set(
    [...sizes].flatMap(([table, size]) => (isNetfilter && !kept.has(table) && (size > 1 || isUnled(table)) ? [table] : [])),
  );
  const isGone = (id: string) => gone.has(tableOf(id));
  const less = Object.keys(wanted).filter((id) => !(id in found));
  // Where a table is gone, so is what leads to its chains.
  const more = Object.keys(found).filter((id) => !(id in wanted) && !(isGone(id) && found[id] === "missing"));
  const changed = Object.keys(wanted).filter((id) => id in found && wanted[id] !== found[id]);
  const all = [...gone].reduce((sum, table) => sum + (sizes.get(table) ?? 0), 0);
  const tables =
    gone.size === sizes.size && gone.size > 0
      ? [`- nothing of it is loaded (${all} lines)`]
      : [...gone].map((table) => `- ${table}: nothing of it is loaded (${sizes.get(table) ?? 0} lines)`);
  return {
    less: less.length,
    more: more.length,
    changed: changed.length,
    lines: [
      ...tables,
      ...less.filter((id) => !isGone(id)).map((id) => `- ${id}: ${wanted[id] ?? ""}`),
      ...changed.flatMap((id) => [`- ${id}: ${wanted[id] ?? ""}`, `+ ${id}: ${found[id] ?? ""}`]),
      ...more.map((id) => `+ ${id}: ${found[id] ?? ""}`),
    ],
  };
}

/** "2 lines more, 1 less, 1 changed". */
export function countDifferences({ less, more, changed }: Differences): string {
  const counts = [
    ...(more > 0 ? [[more, "more"] as const] : []),
    ...(less > 0 ? [[less, "less"] as const] : []),
    ...(changed > 0 ? [[changed, "changed"] as const] : []),
  ];
  return counts.map(([count, word], index) => `${count} ${index > 0 ? "" : count === 1 ? "line " : "lines "}${word}`).join(", ");
}

/** What an update will change on a host that has `found`, for one line of a preview: "1 line more, 1 less: + guard tcp 445: …". */
export function describeUpdate(wanted: Rules, found: Rules, isNetfilter: boolean): string | undefined {
  const missing = differences(wanted, found, false);
  const [first] = missing.lines;
  if (first === undefined) return undefined;
  const count = countDifferences({ ...missing, more: missing.less, less: missing.more });
  // Where rules are gone, so is what leads to them, and that is all that was found.
  if (isNetfilter && Object.values(found).every((line) => line === "missing"))
    return `${countDifferences({ ...missing, more: missing.less, less: 0 })}: nothing of it is loaded`;
  return `${count}: ${first.startsWith("-") ? "+" : "-"}${first.slice(1)}`;
}

/** What a create will bring to its host, likewise: "7 lines come: + 01 is: link br0 is bridge". */
export function describeCreate(wanted: Rules): string | undefined {
  const [first, ...others] = Object.entries(wanted);
  if (first === undefined) return undefined;
  const count = others.length === 0 ? "1 line comes" : `${others.length + 1} lines come`;
  return `${count}: + ${first.join(": ")}`;
}
