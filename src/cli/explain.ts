import { objectName } from "../core/values/names";
import type { Declared } from "./stack";

/** A line on the host and what it is for. */
export interface ExplainedLine {
  readonly id: string;
  readonly line: string;
  readonly why: string;
}

export interface Explained {
  readonly resource: string;
  /** Absent where the arguments are not known before other resources exist. */
  readonly lines?: readonly ExplainedLine[];
}

/** What a resource would write, line by line. Needs no host. */
export function explainResource({ spec, origin, intent }: Declared): Explained {
  const resource = `${spec.kind} ${origin.name}`;
  if (intent === undefined) return { resource };
  const object = objectName(spec.kind, origin);
  const why = spec.explain(object, intent);
  const lines = Object.entries(spec.rules(object, intent)).map(([id, line]) => ({ id, line, why: why[id] ?? "" }));
  return { resource, lines: lines.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** For people: each line, and below it what it is for. */
export function renderExplained({ resource, lines }: Explained): string {
  if (lines === undefined) return `${resource}\n  its arguments are not known before other resources exist`;
  return [resource, ...lines.flatMap(({ id, line, why }) => [`  ${id}`, `    ${line}`, `    = ${why}`])].join("\n");
}
