import { z } from "zod";
import {
  comparePrefixes,
  formatPrefix,
  outermost,
  prefixesOf,
  prefixText,
  type Version,
  VERSIONS,
  versionOf,
} from "../values/prefix";
import type { InSetMatch } from "./matches/in-set";
import type { Side } from "./matches/spec";
import type { Fragment, NamedSet } from "./model";

/** The name by which rules of any stack call a set on its host. */
export const setName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,30}$/, "must be a name: up to 31 letters, digits, '_' or '-', a letter first");

/** AddressSet's own arguments; see the class for their meaning. */
export const addressSet = z.strictObject({ name: setName, addresses: z.array(prefixText).default([]) });
export type AddressSetIntent = z.infer<typeof addressSet>;

/** Single addresses are found by their hash, in a time that does not grow; prefixes have a set of intervals of their own, where one more costs as much as there are. */
type Part = "addresses" | "prefixes";
const PARTS: readonly Part[] = ["addresses", "prefixes"];

const nameOnHost = (name: string, version: Version, part: Part) => `set.${name}.ipv${version}.${part}`;

/** What a packet is asked where a rule names the set: two questions for each IP version, of which one must hold. */
export const inAddressSet = (name: string, side: Side, version: Version, whenMissing: "none" | "all"): readonly InSetMatch[] =>
  PARTS.map((part) => ({ is: "in-set", side, version, set: nameOnHost(name, version, part), whenMissing }));

/** Sets of one table, that of the IP layer; all four stand, whatever is in them, so that one more element changes nothing else. */
export function compileAddressSet(_object: string, { name, addresses }: AddressSetIntent): Fragment[] {
  const prefixes = outermost(prefixesOf(addresses).sort(comparePrefixes), (one) => one);
  const sets = VERSIONS.flatMap((version) =>
    PARTS.map((part): NamedSet => ({
      name: nameOnHost(name, version, part),
      type: { is: "type", text: `ipv${version}_addr` },
      ...(part === "prefixes" ? { flags: ["interval"] } : {}),
      what: `IPv${version} ${part} of the set ${name}`,
    })),
  );
  const elements = prefixes.map((prefix) => {
    const part = prefix.length === prefix.bits ? "addresses" : "prefixes";
    return { set: nameOnHost(name, versionOf(prefix), part), element: formatPrefix(prefix) };
  });
  return [{ layer: "ip", attachments: [], chains: [], sets, elements }];
}
