import type { Drift } from "./drift";
import { type FileHeader, type HostFile, renderHeader } from "./host-file";
import type { Domain, HostFacts } from "./snapshot";

/** One attribute of a device, a group or a file, and the value that a resource holds it at. The order in a list is that in which they are set. */
export interface Setting {
  /** Unique in its resource, sorts as text. */
  readonly id: string;
  readonly kind: "link" | "group" | "file";
  /** Name or path. */
  readonly subject: string;
  /** By the words of drawbridge-host (src/host/program/35-links.sh, 36-groups.sh, 37-guarded.sh). */
  readonly attribute: string;
  /** As the host would print it; never contains a blank. */
  readonly value: string;
}

/** What holds for the settings of some kinds: whose tools they need, what of them stands otherwise, and what each is good for. */
export interface SettingsOf<One extends Setting> {
  readonly domain: Domain;
  /** What stands otherwise than held. What is missing takes its entry away. */
  readonly compare: (all: readonly One[], facts: HostFacts) => Drift;
  /** Rule id to what holding the attribute is good for. */
  readonly explain: (all: readonly One[]) => Record<string, string>;
}

/** "group spicegrp gid 997": the line in the file on the host. */
export const renderSetting = ({ kind, subject, attribute, value }: Setting) => `${kind} ${subject} ${attribute} ${value}`;

/** Rule id to the line that will stand on the host. */
export const describeSettings = (all: readonly Setting[]): Record<string, string> =>
  Object.fromEntries(all.map((setting) => [setting.id, renderSetting(setting)]));

/** The file that holds them. */
export function settingsFile(header: FileHeader, path: string, all: readonly Setting[]): HostFile {
  return { path, text: `${[...renderHeader(header), ...all.map(renderSetting)].join("\n")}\n`, mode: "0644" };
}

function compareSettings(all: readonly Setting[], { live }: HostFacts): Drift {
  return new Map(
    all.flatMap((setting): [string, string | undefined][] => {
      const found = live.get(`${setting.kind === "group" ? "group:" : ""}${setting.subject} ${setting.attribute}`) ?? "-";
      if (stands(setting, found)) return [];
      return [[setting.id, found === "-" || found === "none" ? undefined : renderSetting({ ...setting, value: found })]];
    }),
  );
}

/** An override holds only the parts that are no "-", and a host without dpkg needs none. */
function stands({ attribute, value }: Setting, found: string): boolean {
  if (attribute !== "override") return found === value;
  const parts = found.split(":");
  return found === "-" || value.split(":").every((part, index) => part === "-" || part === parts[index]);
}

const explainSettings = (all: readonly Setting[]): Record<string, string> =>
  Object.fromEntries(all.map(({ id, attribute }) => [id, GOOD_FOR[attribute.split(":")[0] ?? ""] ?? ""]));

export const settingsOfGroups: SettingsOf<Setting> = { domain: "accounts", compare: compareSettings, explain: explainSettings };
export const settingsOfFiles: SettingsOf<Setting> = { domain: "files", compare: compareSettings, explain: explainSettings };

// Source: group(5), chmod(1), acl(5), dpkg-statoverride(1).
const GOOD_FOR: Readonly<Record<string, string>> = {
  is: "the group is made where it is missing; it goes with the resource when nobody else needs it",
  gid: "its number, by which files know it",
  member: "belongs to the group from the next login on",
  others: "nobody is a member whom no SystemGroup names",
  content: "SHA-256 of what the file contains; where it is missing it is made",
  owner: "whose file it is",
  group: "whom the middle part of its mode is about",
  mode: "who may read, write and run it",
  acl: "no access control list lets others in beside owner, group and mode",
  override: 'dpkg keeps owner, group and mode when it upgrades the package; "-" stands for what the package says',
};
