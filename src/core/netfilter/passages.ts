import { keyOfMatch, type Match } from "./matches";
import type { MapKey } from "./matches/spec";
import type { Fragment, Passage, SetElement } from "./model";

/** A key of the kernel's has at most so many bytes (NFT_DATA_VALUE_MAXLEN). */
const MOST_BYTES = 64;

/** What a map is asked for, where all of the matches have keys that it can have together. */
function keysOf(matches: readonly Match[]): MapKey[] | undefined {
  const keys = matches.flatMap((match) => keyOfMatch(match) ?? []);
  if (keys.length === 0 || keys.length < matches.length) return undefined;
  if (keys.reduce((sum, { bytes }) => sum + bytes, 0) > MOST_BYTES) return undefined;
  // nft reads a mask at the beginning of a concatenation only, or between parentheses, which it leaves out of its listings. Whoever loads such a listing would have an error of us.
  const [masked, others] = [keys.filter(({ isMasked }) => isMasked), keys.filter(({ isMasked }) => !isMasked)];
  return masked.length <= 1 ? [...masked, ...others] : undefined;
}

/** Whether an element of a map can stand for a rule with these matches. */
export const canPass = (matches: readonly Match[]): boolean => keysOf(matches) !== undefined;

/** "drop.input host" and its map: the slot and phase in which it is asked, its name, type and the question. */
export interface Lookup {
  readonly to: string;
  readonly key: string;
  readonly map: string;
  readonly type: string;
  readonly expression: string;
}

/** @throws Error where an element of a map cannot stand for it: a fault of the kind that compiled it */
function lookupOf({ to, key, id, matches }: Passage): Lookup & { readonly element: string } {
  const keys = keysOf(matches);
  if (!keys) throw new Error(`no map can have "${id}"`);
  const joined = (of: (one: MapKey) => string, by: string) => keys.map(of).join(by);
  return {
    to,
    key,
    map: `${to}.${key}.${joined(({ name }) => name, ".")}`,
    type: joined(({ type }) => type, " . "),
    expression: joined(({ expression }) => expression, " . "),
    element: joined(({ value }) => value, " . "),
  };
}

/** The maps that a fragment's passages stand in, each once. */
export function lookupsOf({ passages = [] }: Fragment): Lookup[] {
  return [...new Map(passages.map(lookupOf).map((lookup) => [lookup.map, lookup])).values()];
}

/** The element of its map that a passage is. */
export function elementOf(passage: Passage): SetElement & { readonly counter: string } {
  const { id, note, counter, decision } = passage;
  const { map, element } = lookupOf(passage);
  return {
    set: map,
    element,
    counter,
    id,
    ...(note === undefined ? {} : { note }),
    ...(decision === undefined ? {} : { decision }),
  };
}

/** All elements that a fragment gives: those of sets, and its passages. */
export const elementsOf = ({ elements = [], passages = [] }: Fragment): SetElement[] => [...elements, ...passages.map(elementOf)];
