import type { FoundFile } from "./snapshot";
import type { HostFile } from "./host-file";

/** What a look found beside what was confirmed: changes to the map `rules`. `undefined` takes an entry away. */
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
