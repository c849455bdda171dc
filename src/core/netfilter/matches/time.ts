import { type UtcSpan, WEEKDAYS } from "../../values/weekly-window";
import type { MatchSpec } from "./spec";

/** At this time, which is UTC: drawbridge-host runs nft with TZ=UTC. */
export interface TimeMatch {
  readonly is: "time";
  readonly span: UtcSpan;
}

export const time: MatchSpec<TimeMatch> = {
  text: ({ span: { days, minutes, dates } }) =>
    [
      ...(dates === undefined ? [] : textOfDates(dates)),
      // By number: nft takes ranges of days only so.
      ...(days === undefined ? [] : [`meta day ${[...new Set(days)].join("-")}`]),
      ...(minutes === undefined ? [] : [`meta hour "${clock(minutes[0] * 60)}"-"${clock(minutes[1] * 60 - 1)}"`]),
    ].join(" "),
  words: ({ span: { days, minutes, dates } }) => {
    const [first, last] = dates ?? [];
    return [
      ...(days === undefined ? [] : [[...new Set(days)].map((day) => WEEKDAYS[day]).join(" to ")]),
      ...(minutes === undefined ? [] : [minutes.map((minute) => clock(minute * 60).slice(0, 5)).join(" to ")]),
      ...(first === undefined ? [] : [`from ${first}`]),
      ...(last === undefined ? [] : [`until ${last}`]),
      "UTC",
    ].join(" ");
  },
  holds: ({ span: { days, minutes, dates } }, { time: now }) => {
    const [first, last] = dates ?? [];
    if (now === undefined) return undefined;
    const day = now.getUTCDay();
    const minute = now.getUTCHours() * 60 + now.getUTCMinutes();
    return (
      (days === undefined || (days[0] <= day && day <= days[1])) &&
      (minutes === undefined || (minutes[0] <= minute && minute < minutes[1])) &&
      (first === undefined || instantOf(first) <= now.getTime()) &&
      (last === undefined || now.getTime() <= instantOf(last))
    );
  },
};

function textOfDates([first, last]: NonNullable<UtcSpan["dates"]>): string[] {
  if (first !== undefined && last !== undefined) return [`meta time "${first}"-"${last}"`];
  if (first !== undefined) return [`meta time >= "${first}"`];
  return last === undefined ? [] : [`meta time <= "${last}"`];
}

/** "2026-11-30 23:59:59", which is UTC, in milliseconds. */
const instantOf = (text: string) => Date.parse(`${text.replace(" ", "T")}Z`);

/** Seconds since midnight as "08:30:00". */
function clock(seconds: number): string {
  return [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
}
