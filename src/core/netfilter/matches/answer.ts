/** Whether something holds for a packet; `undefined` where it cannot be known. */
export type Answer = boolean | undefined;

/** One that does not hold is enough for "no", whatever else cannot be known. */
export function all(...answers: readonly Answer[]): Answer {
  if (answers.includes(false)) return false;
  return answers.includes(undefined) ? undefined : true;
}

/** Of what may not be known. */
export const isOneOf = <Value>(known: Value | undefined, ...wanted: readonly Value[]): Answer =>
  known === undefined ? undefined : wanted.includes(known);

export const isBetween = (known: number | undefined, [first, last]: readonly [number, number]): Answer =>
  known === undefined ? undefined : first <= known && known <= last;
