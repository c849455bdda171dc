import { median } from "./figure";
import type { Who } from "./side";

/** Times of all sides, by what was done. */
export class Ratios {
  readonly #times = new Map<string, Map<Who, number[]>>();

  add(what: string, side: Who, ms: number): void {
    const sides = this.#times.get(what) ?? new Map<Who, number[]>();
    this.#times.set(what, sides.set(side, [...(sides.get(side) ?? []), ms]));
  }

  /** Ours ÷ another side's. */
  of(what: string, other: Who = "nothing"): number {
    return this.#median(what, "ours") / this.#median(what, other);
  }

  /** What ours takes above doing nothing with as large a state ÷ what the naive way takes above doing nothing. */
  beyond(what: string): number {
    const ours = this.#median(what, "ours") - this.#median(what, "as much state");
    return ours / (this.#median(what, "naive") - this.#median(what, "nothing"));
  }

  /** The medians in seconds, for whoever watches. */
  told(): string {
    const seconds = (values: readonly number[]) => (median(values) / 1000).toFixed(2);
    const ofAll = (sides: Map<Who, number[]>) => [...sides].map(([side, values]) => `${side} ${seconds(values)}`).join(", ");
    return [...this.#times].map(([what, sides]) => `${what}: ${ofAll(sides)}`).join("; ");
  }

  #median(what: string, side: Who): number {
    return median(this.#times.get(what)?.get(side) ?? []);
  }
}
