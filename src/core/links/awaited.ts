import type { HostFacts } from "../files/snapshot";
import { similarName } from "../values/names";

/** An interface that a resource names. Where it is not there yet it is waited for: that is no error, and no drift. */
export interface Awaited {
  /** The argument that names it. */
  readonly property: string;
  readonly what: "interface" | "bridge";
  readonly name: string;
  /** What is so until it appears: "nothing is fenced there". */
  readonly until: string;
  /** How long a create or update waits for it; 0 or absent: not at all. */
  readonly seconds?: number;
}

const MOST_NAMES = 12;

/** Those of `all` that the host does not have. */
export const absent = (all: readonly Awaited[], { links }: HostFacts): Awaited[] => all.filter(({ name }) => !links.has(name));

/** One line for the user: what is awaited, what that means until it appears, what is there, and what may have been meant. */
export function describeAwaited({ property, what, name, until }: Awaited, { links }: HostFacts): string {
  const there = [...links]
    .flatMap(([link, { isBridge }]) => (what === "interface" || isBridge ? [link] : []))
    .filter((link) => link !== "lo" && /^[\x21-\x7e]+$/.test(link))
    .sort();
  const shown = there.slice(0, MOST_NAMES).join(", ") || "none";
  const more = there.length > MOST_NAMES ? ` and ${there.length - MOST_NAMES} more` : "";
  const meant = similarName(name, there);
  return [
    `${property}: there is no ${what} ${name} on this host yet; until it appears ${until}. Its ${what}s: ${shown}${more}.`,
    ...(meant === undefined ? [] : [`Did you mean "${meant}"?`]),
  ].join(" ");
}
