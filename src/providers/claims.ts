import { z } from "zod";
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

const forwardedOn = new Map<string, Set<string>>();

/** Keeps the interfaces between which a resource of the program lets packets pass. */
export function rememberForwarded(connection: unknown, interfaces: readonly string[]): void {
  const host = stableJson(connection);
  const known = forwardedOn.get(host) ?? new Set();
  forwardedOn.set(host, known);
  for (const name of interfaces) known.add(name);
}

/** The interfaces between which the program lets packets pass on a host, as far as the engine has come. */
export const forwardedDeclaredOn = (connection: unknown): ReadonlySet<string> =>
  forwardedOn.get(stableJson(connection)) ?? new Set();

const declaredGroups = z.array(z.object({ host: z.string(), name: z.string() }));
const groups = new Map<string, Set<string>>();

/** Keeps the groups that the program makes, as each of its resources tells. */
export function rememberGroups(told: unknown): void {
  for (const { host, name } of declaredGroups.catch([]).parse(told)) groups.set(host, (groups.get(host) ?? new Set()).add(name));
}

/** The groups that the program makes on the host with this address, although the engine may come to them later. */
export const groupsDeclaredOn = (host: string): ReadonlySet<string> => groups.get(host) ?? new Set();

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
