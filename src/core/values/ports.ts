import { z } from "zod";

/** First and last port. */
export type PortRange = readonly [number, number];

/** One port, as a number. */
export const singlePort = z
  .number()
  .int("must be a port")
  .min(1, "must be a port from 1 to 65535")
  .max(65535, "must be a port from 1 to 65535");

/** One port, or a range as text. */
export const port = z.union([z.number(), z.string()]).superRefine((value, context) => {
  if (parsePorts(value) === undefined)
    context.addIssue({ code: "custom", message: 'must be a port from 1 to 65535, or a range like "20001-20010"' });
});

/** `undefined` when it is none. */
export function parsePorts(value: number | string): PortRange | undefined {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value)) ?? [];
  const [from, to] = [Number(first), Number(last)];
  return from >= 1 && from <= to && to <= 65535 ? [from, to] : undefined;
}

/** The ports of a valid list, as few ranges that do not overlap. */
export function joinPorts(values: readonly (number | string)[]): PortRange[] {
  const ranges = values.flatMap((value) => [parsePorts(value)].filter((range) => range !== undefined)).sort(([a], [b]) => a - b);
  return ranges.reduce<PortRange[]>((joined, [from, to]) => {
    const last = joined.at(-1);
    return last && from <= last[1] + 1 ? [...joined.slice(0, -1), [last[0], Math.max(last[1], to)]] : [...joined, [from, to]];
  }, []);
}

/** "443", or "20001-20010". */
export function formatPorts(ports: PortRange): string {
  return [...new Set(ports)].join("-");
}
