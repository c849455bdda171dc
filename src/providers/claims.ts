import { HostError } from "../core/errors";

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
