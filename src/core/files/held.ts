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
