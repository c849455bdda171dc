/** Property values as the engine hands them over. */
export type Props = Record<string, unknown>;

/** What stands for a value that is not known yet, in Pulumi's protocol. Asking the SDK for it would load all of the SDK. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/**
 * A result as protobuf's Struct can carry it. `undefined` would throw after the work is done and orphan the resource, so keys
 * that hold it are left out, however deep.
 */
export function toWire<T extends Props>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** Whether a value, or anything in it, is not known before another resource exists. */
export function hasUnknown(value: unknown): boolean {
  if (value === UNKNOWN) return true;
  if (Array.isArray(value)) return value.some(hasUnknown);
  return typeof value === "object" && value !== null && Object.values(value).some(hasUnknown);
}

/** Equal as JSON, whatever the order of keys. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [ofA, ofB] = [new Map(entriesOf(a)), new Map(entriesOf(b))];
  return ofA.size === ofB.size && [...ofA].every(([key, inner]) => ofB.has(key) && isSame(inner, ofB.get(key)));
}

const entriesOf = (value: object): [string, unknown][] => Object.entries(value).filter(([, inner]) => inner !== undefined);

/** JSON with sorted keys: the engine sends objects in an order of its own. */
export function stableJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    entriesOf(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

/** The properties of that name which are there. */
export function pick(props: Props, keys: readonly string[]): Props {
  return Object.fromEntries(keys.flatMap((key) => (props[key] === undefined ? [] : [[key, props[key]]])));
}
