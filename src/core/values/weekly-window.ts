import { z } from "zod";

export const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;
const DAY = 24 * 60;
const WEEK = 7 * DAY;

/** "08:00-17:30": the first minute, and the one after the last. "22:00-02:00" ends on the next day. */
const hours = z
  .string()
  .regex(
    /^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$/,
    'must be written like "08:00-17:30"; "24:00" may be the end',
  )
  .refine(
    (text) => text.slice(0, 5) !== text.slice(6),
    "begins and ends at the same minute; leave `hours` out for the whole day",
  );

/** A date that exists, "2026-11-30". */
const date = z.iso.date({ error: 'must be a date like "2026-11-30"' });

/** When something is allowed; see the resource for its meaning. */
export const weeklyWindow = z.strictObject({
  days: z
    .array(z.enum(WEEKDAYS, { error: `must be one of ${WEEKDAYS.join(", ")}` }))
    .min(1, "must name at least one day")
    .optional(),
  hours: hours.optional(),
  firstDate: date.optional(),
  lastDate: date.optional(),
});
export type WeeklyWindow = z.infer<typeof weeklyWindow>;

const OFFSET = /^([+-])(0\d|1[0-4]):([0-5]\d)$/;

/** A fixed distance from UTC. The kernel knows no time zones, so one with daylight saving would be wrong for half of the year. */
export const utcOffset = z.string().superRefine((text, context) => {
  if (OFFSET.test(text) && Math.abs(offsetMinutes(text)) <= 14 * 60) return;
  const message = /^[A-Z][A-Za-z]+(\/|$)/.test(text)
    ? `${JSON.stringify(text.slice(0, 40))} is a time zone, and the kernel knows none: hours are compared in UTC, and would be wrong whenever daylight saving begins or ends. Give its distance, like "+01:00", and change it with the season, or two entries with firstDate and lastDate`
    : 'must be a distance from UTC like "+01:00" or "-05:30"';
  context.addIssue({ code: "custom", message });
});

/** East of UTC is positive. */
function offsetMinutes(text: string): number {
  const [, sign, hour, minute] = OFFSET.exec(text) ?? [];
  return (sign === "-" ? -1 : 1) * (Number(hour) * 60 + Number(minute));
}

/** A part of a window within one day, in UTC. */
export interface UtcSpan {
  /** First and last weekday, 0 is Sunday; absent: every day. */
  readonly days?: readonly [number, number];
  /** Minutes since midnight: the first, and the one after the last; absent: the whole day. */
  readonly minutes?: readonly [number, number];
  /** First and last second: "2026-11-30 23:59:59". */
  readonly dates?: readonly [string | undefined, string | undefined];
}

/**
 * The window in UTC, cut at midnight, days that follow each other joined. A window over midnight belongs to the day on which it
 * begins. `undefined` for no window: at any time.
 */
export function utcSpans(window: WeeklyWindow | undefined, offset: string): UtcSpan[] {
  const { days = WEEKDAYS, hours: text, firstDate, lastDate } = window ?? {};
  const [from, to] = text === undefined ? [0, DAY] : (text.split("-").map(minutesOf) as [number, number]);
  const length = to > from ? to - from : to - from + DAY;
  const shift = offsetMinutes(offset);
  const pieces = days.flatMap((day) => cutAtMidnight(WEEKDAYS.indexOf(day) * DAY + from - shift, length));
  const dates =
    firstDate === undefined && lastDate === undefined
      ? undefined
      : ([
          firstDate === undefined ? undefined : instant(firstDate, from, shift),
          // A window over midnight runs to its end on the day after the last.
          lastDate === undefined ? undefined : instant(lastDate, from + length, shift, -1),
        ] as const);
  return joinDays(pieces).map((span) => ({ ...span, ...(dates === undefined ? {} : { dates }) }));
}

const minutesOf = (clock: string) => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3));

interface Piece {
  readonly day: number;
  readonly from: number;
  readonly to: number;
}

function cutAtMidnight(start: number, length: number): Piece[] {
  const pieces: Piece[] = [];
  for (let at = start; at < start + length;) {
    const week = ((at % WEEK) + WEEK) % WEEK;
    const from = week % DAY;
    const end = Math.min(DAY, from + start + length - at);
    pieces.push({ day: Math.floor(week / DAY), from, to: end });
    at += end - from;
  }
  return pieces;
}

/** What touches within a day is one piece; the same hours on days that follow each other are one span. */
function joinDays(pieces: readonly Piece[]): UtcSpan[] {
  const perDay = Array.from({ length: 7 }, (_, day) =>
    pieces
      .filter((piece) => piece.day === day)
      .sort((a, b) => a.from - b.from)
      .reduce<Piece[]>((joined, piece) => {
        const last = joined.at(-1);
        return last && piece.from <= last.to
          ? [...joined.slice(0, -1), { ...last, to: Math.max(last.to, piece.to) }]
          : [...joined, piece];
      }, []),
  );
  const spans = new Map<string, { from: number; to: number; days: number[] }>();
  for (const { day, from, to } of perDay.flat()) {
    const key = `${from}-${to}`;
    const known = spans.get(key) ?? { from, to, days: [] };
    spans.set(key, { ...known, days: [...known.days, day] });
  }
  return [...spans.values()].flatMap(({ from, to, days }) =>
    runsOf(days).map((run): UtcSpan => ({
      ...(run[0] === 0 && run[1] === 6 ? {} : { days: run }),
      ...(from === 0 && to === DAY ? {} : { minutes: [from, to] }),
    })),
  );
}

function runsOf(days: readonly number[]): [number, number][] {
  return days.reduce<[number, number][]>((runs, day) => {
    const last = runs.at(-1);
    return last && day === last[1] + 1 ? [...runs.slice(0, -1), [last[0], day]] : [...runs, [day, day]];
  }, []);
}

/** The second that lies so many minutes after midnight of a date, in UTC, as nft writes it. */
function instant(day: string, minutes: number, shift: number, seconds = 0): string {
  const time = new Date(Date.parse(`${day}T00:00:00Z`) + (minutes - shift) * 60_000 + seconds * 1000);
  return time.toISOString().slice(0, 19).replace("T", " ");
}
