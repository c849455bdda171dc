import type { Drift } from "./drift";
import type { HostFacts } from "./snapshot";

/** One thing that a resource holds of a group or a file, by the words of drawbridge-host (src/host/program/36-groups.sh, 37-guarded.sh). */
export interface Held {
  /** Unique in its resource, sorts as text. */
  readonly id: string;
  readonly kind: "group" | "file";
  /** Name or path. */
  readonly subject: string;
  readonly word: string;
  /** As the host would print it; never contains a blank. */
  readonly value: string;
}

/** "group spicegrp gid 997": the line in the file on the host. */
export const renderHeld = ({ kind, subject, word, value }: Held) => `${kind} ${subject} ${word} ${value}`;

/** Rule id to the line that will stand on the host. */
export const describeHeld = (all: readonly Held[]): Record<string, string> =>
  Object.fromEntries(all.map((held) => [held.id, renderHeld(held)]));

/** What stands otherwise than held. What is missing takes its entry away. */
export function compareHeld(all: readonly Held[], { live }: HostFacts): Drift {
  return new Map(
    all.flatMap((held): [string, string | undefined][] => {
      const found = live.get(`${held.kind === "group" ? "group:" : ""}${held.subject} ${held.word}`) ?? "-";
      if (stands(held, found)) return [];
      return [[held.id, found === "-" || found === "none" ? undefined : renderHeld({ ...held, value: found })]];
    }),
  );
}

/** An override holds only the parts that are no "-", and a host without dpkg needs none. */
function stands({ word, value }: Held, found: string): boolean {
  if (word !== "override") return found === value;
  const parts = found.split(":");
  return found === "-" || value.split(":").every((part, index) => part === "-" || part === parts[index]);
}

/** Rule id to what holding the thing is good for. */
export const explainHeld = (all: readonly Held[]): Record<string, string> =>
  Object.fromEntries(all.map(({ id, word }) => [id, GOOD_FOR[word.split(":")[0] ?? ""] ?? ""]));

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
