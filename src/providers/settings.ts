import type { Drift } from "../core/files/drift";
import type { FileHeader, HostFile } from "../core/files/host-file";
import { describeSettings, type Setting, settingsFile, type SettingsOf } from "../core/files/settings";
import type { HostFacts } from "../core/files/snapshot";
import { type KindSpec, linesOfRules } from "./spec";

/** Where a kind is more than its settings. */
interface Beside<Intent> {
  /** Its files; without it one, of its settings alone. */
  readonly files?: (header: FileHeader, intent: Intent, network: string) => HostFile[];
  /** What else stands otherwise. */
  readonly drift?: (intent: Intent, facts: HostFacts) => Drift;
}

/** What a kind is that compiles to settings and little else; `paths` are all that any of its intents may have. */
export function madeOfSettings<Intent, One extends Setting>(
  { domain, compare, explain }: SettingsOf<One>,
  compile: (intent: Intent) => readonly One[],
  paths: (object: string) => string[],
  { files, drift }: Beside<Intent> = {},
): Pick<KindSpec<Intent>, "domain" | "rules" | "lines" | "files" | "paths" | "drift"> {
  return {
    domain,
    rules: (_object, intent) => describeSettings(compile(intent)),
    lines: (_object, intent) => linesOfRules(describeSettings(compile(intent)), explain(compile(intent))),
    files: files ?? ((header, intent) => paths(header.object).map((path) => settingsFile(header, path, compile(intent)))),
    paths,
    drift: (object, intent, { facts, confirmed }) => ({
      drift: new Map([...compare(compile(intent), facts), ...(drift?.(intent, facts) ?? [])]),
      present: () => paths(object).some((path) => confirmed.has(path)),
    }),
  };
}
