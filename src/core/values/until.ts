import { z } from "zod";

const DAY_SECONDS = 24 * 60 * 60;

const moment = z
  .union([z.iso.datetime({ offset: true }), z.iso.datetime({ offset: true, precision: -1 })])
  // The kernel counts nanoseconds since 1970 in 64 bits.
  .refine((text) => secondsOf(text) > 0 && secondsOf(text) < Date.UTC(2262) / 1000);

const EXAMPLE = "2026-12-24T18:00:00+01:00";
const NO_MOMENT = `must be a date and time from 1970 to 2261 with its distance from UTC, like "${EXAMPLE}" or "2026-12-24T17:00:00Z"`;

/** When something ends: "2026-12-24T18:00:00+01:00". */
export const until = z.string().refine((text) => moment.safeParse(text).success, NO_MOMENT);

/** The same, or with the moment before which it does not begin, as {@link withBeginning} writes it: "2026-11-29T00:00:00Z/2026-12-24T18:00:00+01:00". */
export const untilWithBeginning = z.string().refine((text) => {
  const parts = text.split("/");
  return parts.length <= 2 && parts.every((part) => moment.safeParse(part).success);
}, NO_MOMENT);

/** Seconds since 1970: the first, and the one after the last. */
export interface Term {
  readonly since?: number;
  readonly end: number;
}

/** @param text as {@link until} or {@link untilWithBeginning} takes it */
export function termOf(text: string): Term {
  const end = secondsOf(writtenEnd(text));
  return text.includes("/") ? { since: secondsOf(text.slice(0, text.indexOf("/"))), end } : { end };
}

/** The end as the user has written it. */
export const writtenEnd = (text: string): string => text.slice(text.indexOf("/") + 1);

/**
 * With a beginning, so that a clock that is set back beyond it opens nothing once more that has ended: the day before the one on which this end was first seen, UTC.
 * A whole day, so that a preview and the `up` behind it mostly say the same.
 * @param kept what stood there before; the beginning of one with the same end stays
 */
export function withBeginning(text: string, kept: readonly unknown[], now: Date): string {
  if (text.includes("/")) return text;
  const { end } = termOf(text);
  const known = kept.flatMap((one) => (untilWithBeginning.safeParse(one).success && typeof one === "string" ? [one] : []));
  const same = known.find((one) => one.includes("/") && termOf(one).end === end);
  const since = same === undefined ? dayOf(now.getTime() / 1000 - DAY_SECONDS) : same.slice(0, same.indexOf("/"));
  return `${since}/${text}`;
}

export const isOver = (text: string, now: Date): boolean => termOf(text).end <= now.getTime() / 1000;

const secondsOf = (text: string) => Math.floor(Date.parse(text) / 1000);
const dayOf = (seconds: number) => `${new Date(seconds * 1000).toISOString().slice(0, 10)}T00:00:00Z`;
