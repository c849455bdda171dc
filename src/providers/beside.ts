import { textBeside } from "../host/beside";
import type { AnyKind, Problem } from "./spec";
import { isSame, type Props } from "./wire";

/** What check keeps of a file in the arguments, and what else of the intent is in it. */
interface Read {
  readonly kept: Props;
  readonly content: Props;
}

/** Of the file beside the program that a resource takes content from, if it does: what check keeps of it in the arguments, and the arguments with its content; or why it cannot be. */
export async function contentBeside(spec: AnyKind, intent: Props): Promise<Read | readonly Problem[]> {
  const path = spec.beside?.path(intent);
  if (spec.beside === undefined || path === undefined) return { kept: {}, content: {} };
  const { property } = spec.beside;
  const found = await textBeside(path);
  if ("reason" in found) return [{ property, reason: found.reason }];
  const last = lastRead.get(path);
  const taken = last?.text === found.text && last.spec === spec ? last.taken : spec.beside.read(intent, found.text);
  lastRead.set(path, { spec, text: found.text, taken });
  if (!isProblems(taken)) return taken;
  const more = taken.length - MOST_PROBLEMS;
  return [
    ...taken.slice(0, MOST_PROBLEMS).map((reason) => ({ property, reason: `${path}, ${reason}` })),
    ...(more > 0 ? [{ property, reason: `${path}: and ${more} more lines` }] : []),
  ];
}

// A file is asked for by check, by the change behind it, and by every look, and may be very long.
const lastRead = new Map<string, { readonly spec: AnyKind; readonly text: string; readonly taken: Taken }>();

const MOST_PROBLEMS = 10;

type Taken = Read | readonly string[];
const isProblems = (taken: Taken): taken is readonly string[] => Array.isArray(taken);

/** The arguments with the content of the file that check has read. @throws Error where it is another one by now */
export async function withContent(spec: AnyKind, intent: Props): Promise<Props> {
  const found = await contentBeside(spec, intent);
  const property = spec.beside?.property ?? "";
  if ("content" in found) {
    const changed = Object.keys(found.kept).some((key) => !isSame(found.kept[key], intent[key]));
    if (!changed) return { ...intent, ...found.content };
    throw new Error(`${property}: the file has changed since this run has read it first; run again`);
  }
  throw new Error(found.map(({ reason }) => `${property}: ${reason}`).join("\n"));
}
