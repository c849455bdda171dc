import { isOver, termOf, until, untilWithBeginning, withBeginning, writtenEnd } from "../../src/core/values/until";
import { kinds } from "../../src/providers/registry";

const END = "2026-12-24T18:00:00+01:00";
const SECONDS = Date.UTC(2026, 11, 24, 17) / 1000;
const NOW = new Date("2026-11-30T12:00:00Z");
const BEGUN = `2026-11-29T00:00:00Z/${END}`;

test.each([END, "2026-12-24T17:00:00Z", "2026-12-24T17:00Z", "2028-02-29T00:00:00-05:30"])("%s is taken", (text) => {
  expect(until.safeParse(text).error).toBeUndefined();
  expect(untilWithBeginning.safeParse(`2026-11-29T00:00:00Z/${text}`).error).toBeUndefined();
});

test.each([
  "2026-12-24",
  "2026-12-24T18:00:00",
  "2026-12-24 18:00:00Z",
  "2026-02-29T00:00:00Z",
  "2026-12-24T25:00:00Z",
  "1969-12-31T23:59:59Z",
  "2262-01-01T00:00:00Z",
  "Europe/Berlin",
  "tomorrow",
  "",
  "2026-12-24T17:00:00Z; accept",
  "2026-12-24T17:00:00Z\n",
  `${BEGUN}/${END}`,
  "/",
])("%j is refused with what is wanted", (text) => {
  for (const schema of [until, untilWithBeginning])
    expect(schema.safeParse(text).error?.issues[0]?.message).toMatch(
      /^must be a date and time .* like "2026-12-24T18:00:00\+01:00"/,
    );
});

test("is told in seconds, which no zone of a host moves", () => {
  expect([termOf(END), termOf("2026-12-24T17:00Z"), termOf(BEGUN)]).toEqual([
    { end: SECONDS },
    { end: SECONDS },
    { since: Date.UTC(2026, 10, 29) / 1000, end: SECONDS },
  ]);
  expect([writtenEnd(END), writtenEnd(BEGUN)]).toEqual([END, END]);
  expect([new Date(SECONDS * 1000 - 1), new Date(SECONDS * 1000)].map((now) => isOver(BEGUN, now))).toEqual([false, true]);
});

describe("the beginning", () => {
  test("is the day before", () => expect(withBeginning(END, [], NOW)).toBe(BEGUN));
  test("stays as long as the end does, however it is written", () => {
    const later = new Date("2027-03-01T00:00:00Z");
    expect(withBeginning(END, [undefined, "x", "2026-01-01T00:00:00Z/2026-12-24T17:00:01Z", BEGUN], later)).toBe(BEGUN);
    expect(withBeginning("2026-12-24T17:00:00Z", [BEGUN], later)).toBe("2026-11-29T00:00:00Z/2026-12-24T17:00:00Z");
    expect(withBeginning(BEGUN, [], later)).toBe(BEGUN);
  });
  test("is another one with another end", () => {
    const later = new Date("2027-03-01T00:00:00Z");
    expect(withBeginning("2027-04-01T00:00:00Z", [BEGUN], later)).toBe("2027-02-28T00:00:00Z/2027-04-01T00:00:00Z");
  });
});

describe.each(["Allow", "DefaultDrop", "Deny"])("%s", (kind) => {
  const spec = kinds.get(kind);
  if (!spec) throw new Error(`no kind ${kind}`);
  const entry = { protocol: "tcp", ports: [443] };
  const args = (end: string) =>
    kind === "DefaultDrop"
      ? { hook: "forward", allow: [entry, { ...entry, until: end }] }
      : { hook: "input", ...entry, until: end };
  const checked = (end: string, kept = {}, now = NOW) => {
    const known = spec.schema.parse(args(end));
    return { ...known, ...spec.complete?.(known, kept, now) };
  };

  test("keeps its beginning, if it lets pass", () => {
    const first = checked(END);
    expect(JSON.stringify(first).includes(BEGUN)).toBe(kind !== "Deny");
    expect(checked(END, first, new Date("2027-03-01T00:00:00Z"))).toEqual(first);
    expect(spec.schema.parse(first)).toEqual(first);
  });

  test("says what has expired, and is no error", () => {
    const over = checked("2026-11-30T11:59:59Z");
    expect(spec.review(over)).toEqual([]);
    expect(spec.expired?.(over, NOW)).toMatch(/^(allow\[1\]\.)?until: expired at 2026-11-30T11:59:59Z; /);
    expect(spec.expired?.(checked("2026-11-30T12:00:01Z"), NOW)).toBeUndefined();
  });
});
