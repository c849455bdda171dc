import type { Domain } from "../core/files/snapshot";
import { objectName } from "../core/values/names";
import type { Declared } from "./stack";

/** A line on the host and what it is for. */
export interface ExplainedLine {
  readonly id: string;
  readonly line: string;
  readonly why: string;
  /** The entry of the output `rules` that it belongs to. */
  readonly rule: string;
}

export interface Explained {
  readonly resource: string;
  /** What the lines are about: rules of nft, links, sudo rights … */
  readonly domain: Domain;
  /** Absent where it cannot be told. */
  readonly lines?: readonly ExplainedLine[];
  /** Why it cannot: the arguments are not known before other resources exist, or hold a secret, which a preview does not tell. */
  readonly untold?: "unknown" | "secret";
}

/** What a resource would write, line by line. Needs no host. */
export function explainResource({ spec, origin, intent }: Declared): Explained {
  const resource = `${spec.kind} ${origin.name}`;
  const domain = spec.domain;
  if (typeof intent === "string") return { resource, domain, untold: intent };
  const object = objectName(spec.kind, origin);
  const lines = spec.lines(object, intent).map(({ id, text, why, rule }) => ({ id, line: text, why, rule }));
  return { resource, domain, lines: lines.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** For people: each line, and below it what it is for. */
export function renderExplained({ resource, lines, untold }: Explained): string {
  if (lines === undefined) return `${resource}\n  ${UNTOLD[untold ?? "unknown"]}`;
  return [resource, ...lines.flatMap(({ id, line, why }) => [`  ${id}`, `    ${line}`, `    = ${why}`])].join("\n");
}

/**
 * For people: how many lines, and what they do in short. Rules of netfilter are many and alike, so there is one row for each verb; the
 * lines of other kinds are few and stand as they are.
 */
export function renderSummary({ resource, domain, lines, untold }: Explained): string {
  if (lines === undefined) return `${resource}\n  ${UNTOLD[untold ?? "unknown"]}`;
  const head = `${resource}, ${lines.length} ${lines.length === 1 ? "line" : "lines"} on the host`;
  if (domain !== "nft") return [head, ...lines.map(({ line }) => `  ${line}`)].join("\n");
  const rows = new Map<string, Set<string>>();
  for (const { id, rule } of lines) {
    // What a decision says, its lines and the rules that look it up need not say again.
    if (LOOKED_UP.test(id) && rule === "common") continue;
    const [, verb = id, what = ""] = (rule === "common" ? LINE_ID.exec(id) : RULE_ID.exec(rule)) ?? [];
    rows.set(verb, (rows.get(verb) ?? new Set()).add(what));
  }
  return [head, ...[...rows].map(([verb, whats]) => `  ${verb}: ${shortened([...whats])}`)].join("\n");
}

const UNTOLD = {
  unknown: "its arguments are not known before other resources exist",
  secret: "its arguments hold a secret, and so would its lines",
};

/** "inet 01 pass listener reports" and "netdev 01 pass listener reports" are the same thing in two tables. */
const LINE_ID = /^\w+ \d+ ((?:(?:in|out) )?\S+) (.*)$/;
const LOOKED_UP = /^\w+ \d+ (?:deny|except) |^\w+ (?:set|map) /;
const RULE_ID = /^((?:except )?\S+) (?:\d{3} )?(.*)$/;

const SHOWN = 6;

function shortened(whats: readonly string[]): string {
  const more = whats.length - SHOWN;
  return `${whats.slice(0, SHOWN).join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
}
