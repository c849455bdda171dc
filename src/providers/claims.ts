import { HostError } from "../core/errors";
import { hasUnknown } from "./wire";

const claims = new Map<string, string>();

/**
 * An object on a machine has one holder per run: a second resource of the same program, under another id, would take it over
 * and back again at every run. check refuses what it can see; this meets one machine under two addresses.
 * @throws HostError `not-owned`
 */
export function claim(machine: string, object: string, owner: string, host: string): void {
  const key = `${machine} ${object}`;
  const holder = claims.get(key) ?? owner;
  if (holder !== owner) {
    const reason = `${object} was written by another resource of this program a moment ago; give one of them another name`;
    throw new HostError({ code: "not-owned", host, step: "look before the change", reason });
  }
  claims.set(key, owner);
}

const declared = new Map<string, string>();

/** Why a declaration is one too many: another resource of the program would write the same object on the same host. */
export function duplicateOf(kind: string, origin: unknown, connection: unknown, urn: unknown): string | undefined {
  if (typeof urn !== "string" || hasUnknown(connection) || hasUnknown(origin)) return undefined;
  const key = JSON.stringify([kind, origin, connection]);
  const other = declared.get(key) ?? urn;
  declared.set(key, other);
  return other === urn ? undefined : `${other} declares the same object on the same host; give one of them another name`;
}
