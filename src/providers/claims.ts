import { hasUnknown, stableJson } from "./wire";

/**
 * Ids that this run has made stand. A second resource of the same program that would write the same object under another id
 * would take it over, and back again at every run; check refuses what it can see, the host what these ids tell it.
 */
export const heldIds = new Set<string>();

const declared = new Map<string, string>();
const kindsOn = new Map<string, Set<string>>();

/** The kinds that this program declares on a host, as far as the engine has come. */
export const kindsDeclaredOn = (connection: unknown): ReadonlySet<string> => kindsOn.get(stableJson(connection)) ?? new Set();

/** Why a declaration is one too many: another resource of the program would write the same object on the same host. */
export function duplicateOf(kind: string, origin: unknown, connection: unknown, urn: unknown): string | undefined {
  if (typeof urn !== "string" || hasUnknown(connection) || hasUnknown(origin)) return undefined;
  const host = stableJson(connection);
  kindsOn.set(host, (kindsOn.get(host) ?? new Set()).add(kind));
  const key = stableJson([kind, origin, connection]);
  const other = declared.get(key) ?? urn;
  declared.set(key, other);
  return other === urn ? undefined : `${other} declares the same object on the same host; give one of them another name`;
}
