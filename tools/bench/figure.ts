/** One line of the table. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly goal: number;
  readonly better: "lower" | "higher";
}

/** A run from which figures come. */
export interface Measurement {
  readonly title: string;
  readonly measure: (say: (text: string) => void) => Promise<Figure[]>;
}

export function figure(name: string, value: number, goal: number, better: Figure["better"] = "lower"): Figure {
  if (!Number.isFinite(value)) throw new Error(`${name}: ${value} is no measurement`);
  return { name, value: Number(value.toPrecision(3)), goal, better };
}

export const isMet = ({ value, goal, better }: Figure) => (better === "lower" ? value <= goal : value >= goal);

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = NaN, high = NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

/** How long the work takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

/** A table in Markdown, so that it can stand on a page as it is. */
export function table(figures: readonly Figure[]): string {
  const rows = [
    ["figure", "measured", "goal", ""],
    ...figures.map((one) => [
      one.name,
      String(one.value),
      `${one.better === "lower" ? "≤" : "≥"} ${one.goal}`,
      isMet(one) ? "" : "missed",
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
