import { z } from "zod";
import type { ErrorCode } from "../core/errors";
import { readLoggedLine } from "../core/netfilter/kernel-log";
import { printableLine } from "../core/values/printable";

/*
 * All that a host says to this side, and how much of it is listened to. The other end of each line is src/host/program. A host may be
 * hostile: what does not have its shape is a BadAnswer, never a guess. A later version of the program may say more (it serves earlier
 * packages of the same layout): lines that begin with a word unknown here, and files that nobody here asks for, are left out.
 */

const MIB = 1 << 20;

/** What a host may make this process keep. A refresh of 600 fences is some 15 MiB unpacked, and less than 1 MiB on the wire. */
export const LIMITS = {
  /** The archive of a look, as it comes. */
  archiveBytes: 16 * MIB,
  /** Every other answer. */
  answerBytes: 4 * MIB,
  /** News and errors of one command. */
  stderrBytes: MIB,
  /** One line of them. */
  lineBytes: 16 << 10,
  unpackedBytes: 48 * MIB,
  tarEntries: 50_000,
  tarEntryBytes: 16 * MIB,
  /** Until the first line of an answer, which the program says before it waits for anything. */
  greetingSeconds: 60,
};

/** What the host said is not what drawbridge-host says; `message` goes on after "the host's answer is not one of drawbridge-host: ". */
export class BadAnswer extends Error {}

/** A word that names something: no blank, no control character. */
const word = z.string().regex(/^[\x21-\x7e]{1,300}$/);
/** Semantic versioning 2.0.0, less build metadata: it stands in a command for copying. */
const version = z
  .string()
  .max(64)
  .regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/);
/** As `objectName` makes them. */
const objectWord = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const count = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(Number);
const machine = z.string().regex(/^[0-9a-f-]{1,64}$/);

const greetingWords = z.tuple([
  z.literal("drawbridge-host"),
  z.string().regex(/^\d{1,4}$/),
  version,
  z.string().regex(/^[0-9a-f]{64}$/),
]);

export interface Greeting {
  readonly layout: number;
  readonly version: string;
}

/** The first line of every answer, and what follows it; no greeting where something else than drawbridge-host has spoken, or nobody. */
export function readGreeting(stdout: Buffer): { readonly greeting: Greeting | undefined; readonly payload: Buffer } {
  const end = stdout.indexOf("\n");
  const line = stdout.toString("utf8", 0, Math.min(Math.max(end, 0), LIMITS.lineBytes));
  if (!line.startsWith("drawbridge-host ")) return { greeting: undefined, payload: Buffer.alloc(0) };
  const [, layout, said] = shaped(greetingWords, line.split(" "), "its greeting");
  return { greeting: { layout: Number(layout), version: said }, payload: stdout.subarray(end + 1) };
}

/** What a line on stderr tells whoever waits; nothing where it is another one. */
export function readNews(line: string): string | undefined {
  return line.startsWith("status ") ? printableLine(line.slice("status ".length), 300) : undefined;
}

const HOST_CODES: readonly ErrorCode[] = [
  "missing-tool",
  "not-writable",
  "not-root",
  "busy",
  "not-owned",
  "refused",
  "stale",
  "rejected",
];

const codeOf = (text: string, otherwise: ErrorCode): ErrorCode => HOST_CODES.find((code) => code === text) ?? otherwise;

/** The program itself says why it ended, not the shell or sudo before it. */
export const saysFailure = (stderr: string): boolean => /^error \S+$/m.test(stderr);

/** Why a command ended with an error: `error CODE`, then the reason, at the end of stderr; else what stderr holds. */
export function readFailure(stderr: string): { readonly code: ErrorCode; readonly reason: string } {
  const [, code = "", reason = stderr] = /^error (\S+)\n([^]*)$/m.exec(stderr) ?? [];
  return { code: codeOf(code, "internal"), reason: printableLine(reason) };
}

/** What became of a transaction. */
export type TransactionAnswer =
  | { readonly is: "applied"; readonly machine: string; readonly notes: readonly Note[] }
  | { readonly is: "refused"; readonly refusals: ReadonlyMap<number, { readonly code: ErrorCode; readonly reason: string }> }
  | { readonly is: "failed"; readonly code: ErrorCode; readonly isDryRun: boolean; readonly reason: string }
  | ({ readonly is: "undone" } & Testimony)
  | { readonly is: "passed" | "confirmed" | "working" | "unknown" | "too-late" };

/**
 * What is to be said of the change with this index: nothing was deleted, since this is another machine; something was left as it is
 * ("kept"), or was changed beside what was asked ("said").
 */
export type Note = { readonly index: number } & (
  { readonly is: "elsewhere" } | { readonly is: "kept" | "said"; readonly what: string }
);

/** What the host saw before it undid a change. */
export interface Testimony {
  /** What it could not put back, as a clause. */
  readonly broken: string | undefined;
  readonly seen: readonly string[];
  /** The ends of our connection, as the host knew them. */
  readonly peer: string;
  readonly own: string;
  /** Counters that rose since the change. */
  readonly rose: readonly { readonly counter: string; readonly packets: number }[];
}

type Said = TransactionAnswer["is"];

/** The answers that may follow a question. */
export const ANSWERS = {
  preflight: ["passed", "refused", "failed"],
  apply: ["applied", "refused", "failed", "undone", "unknown"],
  result: ["applied", "refused", "failed", "undone", "unknown", "confirmed", "working"],
  confirm: ["confirmed", "too-late"],
} as const satisfies Record<string, readonly Said[]>;

/** An answer on a transaction of `changes` changes. @throws BadAnswer */
export function readTransaction(payload: Buffer, question: keyof typeof ANSWERS, changes: number): TransactionAnswer {
  const text = payload.toString("utf8");
  const [first = "", ...lines] = text.split("\n");
  const [said = "", more = ""] = first.split(" ");
  if (text === "" || !text.endsWith("\n")) throw new BadAnswer("it is empty or cut");
  const is = ANSWERS[question].find((each) => each === said);
  if (is === undefined) throw new BadAnswer(`"${printableLine(first, 80)}" does not answer "${question}"`);
  switch (is) {
    case "applied":
      return {
        is,
        machine: shaped(machine, more, "the machine's id"),
        notes: behind(lines, "note").flatMap((rest) => notesOf(rest, changes)),
      };
    case "refused":
      return { is, refusals: refusalsOf(behind(lines, "refuse"), changes) };
    case "failed":
      return failureOf(more, lines.join("\n"));
    case "undone":
      return { is, ...testimonyOf(lines) };
    default:
      return { is };
  }
}

/** What follows `word` in the lines that begin with it. */
function behind(lines: readonly string[], word: string): string[] {
  return lines.flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
}

/** "INDEX REST" of a change that somebody has. */
function indexed(line: string, changes: number): [number, string] {
  const [, digits, rest = ""] = /^(\d{1,6}) (.*)$/.exec(line) ?? [];
  const index = Number(digits);
  if (digits === undefined || index >= changes)
    throw new BadAnswer(`it speaks of a change that nobody asked for: "${printableLine(line, 80)}"`);
  return [index, rest];
}

function notesOf(line: string, changes: number): Note[] {
  const [index, rest] = indexed(line, changes);
  if (rest === "elsewhere") return [{ index, is: "elsewhere" }];
  const [, is, what = ""] = /^(kept|said) (.*)$/.exec(rest) ?? [];
  return is === "kept" || is === "said" ? [{ index, is, what: printableLine(what) }] : [];
}

function refusalsOf(lines: readonly string[], changes: number): Map<number, { code: ErrorCode; reason: string }> {
  const refusals = new Map<number, { code: ErrorCode; reason: string }>();
  for (const line of lines) {
    const [index, rest] = indexed(line, changes);
    const [code = "", ...reason] = rest.split(" ");
    if (!refusals.has(index)) refusals.set(index, { code: codeOf(code, "rejected"), reason: printableLine(reason.join(" ")) });
  }
  if (refusals.size === 0) throw new BadAnswer("it refuses, and does not say what");
  return refusals;
}

/** Where a transaction failed, to what that means. */
const FAILED: Readonly<Record<string, ErrorCode>> = {
  "missing-tool": "missing-tool",
  "not-writable": "not-writable",
  busy: "busy",
  "dry-run": "rejected",
  apply: "rejected",
};

function failureOf(where: string, text: string): Extract<TransactionAnswer, { is: "failed" }> {
  const reason = printableLine(text.startsWith("text ") ? text.slice("text ".length) : text);
  return {
    is: "failed",
    code: FAILED[where] ?? "internal",
    isDryRun: where === "dry-run",
    reason: reason || `it failed (${where})`,
  };
}

const BROKEN = "could not put back: ";

function testimonyOf(lines: readonly string[]): Testimony {
  const broken = lines.find((line) => line.startsWith(BROKEN));
  const seen = behind(lines, "saw")
    .slice(0, 20)
    .map((line) => printableLine(line, 300));
  const [, peer = "", own = ""] = seen.flatMap((line) => /^our connection came from (\S+) to (\S+) by/.exec(line) ?? []);
  const rose = behind(lines, "rose").map((line) => {
    const [, counter, packets] = shaped(z.tuple([word, word, count]), line.split(" "), "a counter");
    return { counter, packets };
  });
  return { broken: broken === undefined ? undefined : printableLine(broken), seen, peer, own, rose };
}

/** What the fences of a host have counted and logged. */
export interface HostLeaks {
  /** "family counter" to what it counted since the fence was made, or since the last boot. */
  readonly counted: ReadonlyMap<string, { readonly packets: number; readonly bytes: number }>;
  /** Lines of the kernel's log, oldest first, each with the object that wrote it. */
  readonly logged: readonly { readonly object: string; readonly line: string }[];
}

/** @throws BadAnswer */
export function readLeaks(payload: Buffer): HostLeaks {
  const lines = payload.toString("utf8").split("\n");
  return {
    counted: new Map(
      behind(lines, "counter").map((line) => {
        const [family, name, packets, bytes] = shaped(z.tuple([word, word, count, count]), line.split(" "), "a counter");
        return [`${family} ${name}`, { packets, bytes }] as const;
      }),
    ),
    logged: behind(lines, "log").flatMap((line) => {
      const logged = readLoggedLine(line);
      return logged === undefined ? [] : [{ object: logged.object, line: printableLine(line, 1_000) }];
    }),
  };
}

/** How a host stands: what it holds, waits for, and has not finished. */
export interface HostStanding {
  /** Object to "PROJECT/STACK KIND NAME", of each resource that was confirmed there. */
  readonly held: ReadonlyMap<string, string>;
  /** What a resource waits for: "interface eth1", "user maggie". */
  readonly waits: readonly { readonly object: string; readonly what: string }[];
  readonly pending: readonly string[];
  readonly unfinished: readonly string[];
  readonly lifted: boolean;
  /** Families whose table does not load. */
  readonly failClosed: readonly string[];
  /** What the last load (at boot, for a new device, by hand) could not do. */
  readonly faults: readonly string[];
}

/** @throws BadAnswer */
export function readStanding(payload: Buffer): HostStanding {
  const lines = payload.toString("utf8").split("\n");
  const texts = (word: string) => behind(lines, word).map((line) => printableLine(line, 300));
  const ofObjects = (word: string) =>
    texts(word).map((line) => {
      const [object = "", ...rest] = line.split(" ");
      return [shaped(objectWord, object, "the name of a resource"), rest.join(" ")] as const;
    });
  return {
    held: new Map(ofObjects("held")),
    waits: ofObjects("waits").map(([object, what]) => ({ object, what })),
    pending: texts("pending"),
    unfinished: texts("unfinished"),
    lifted: texts("lifted").length > 0,
    failClosed: texts("shut"),
    faults: texts("fault"),
  };
}

/** A file of a look's archive: nothing else is ever packed, and no path leads out of it. */
export const tarHeader = z
  .object({
    name: z.string().min(1).max(1_024),
    type: z.string(),
    mode: z.number().int().min(0),
    uid: z.number().int().min(0),
    gid: z.number().int().min(0),
    linkname: z
      .string()
      .max(4_096)
      .nullish()
      .transform((target) => target ?? ""),
  })
  .transform((header) => {
    const { name, type } = header;
    if (name.startsWith("/") || name.split("/").includes("..") || printableLine(name, 1_024) !== name)
      throw new BadAnswer(`an archive with a file of the name "${printableLine(name, 200)}"`);
    if (type !== "file" && type !== "directory" && type !== "symlink" && type !== "link")
      throw new BadAnswer(`an archive in which ${name} is of the kind "${printableLine(type, 40)}"`);
    return { ...header, type };
  });

const name = z.string().min(1).max(64);

/** `ip -j -d link show`, as far as it is read. */
export const linksJson = z
  .array(
    z.object({
      ifname: name,
      master: name.optional(),
      linkinfo: z.object({ info_kind: z.string().max(64).optional() }).optional(),
    }),
  )
  .max(50_000);

/** `ip -j addr show`. */
export const addressesJson = z
  .array(
    z.object({
      ifname: name.optional(),
      addr_info: z
        .array(z.object({ local: z.string().max(64).optional() }))
        .max(50_000)
        .default([]),
    }),
  )
  .max(50_000);

/** A value of the shape. @throws BadAnswer that names `what` it is */
export function shaped<Shape extends z.ZodType>(shape: Shape, value: unknown, what: string): z.output<Shape> {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new BadAnswer(
    `${what} has another shape: ${printableLine(typeof value === "string" ? value : JSON.stringify(value), 120)}`,
  );
}

/** JSON of the shape; an empty text is an empty list. @throws BadAnswer that names `what` it is */
export function shapedJson<Shape extends z.ZodType>(shape: Shape, text: string, what: string): z.output<Shape> {
  let value: unknown;
  try {
    value = JSON.parse(text || "[]");
  } catch {
    throw new BadAnswer(`${what} is not JSON`);
  }
  return shaped(shape, value, what);
}

/** A guess at nft's own words, which have no code: that kernel or nft do not know the egress hook. */
export function isMissingEgress(nftSaid: string): boolean {
  return /egress/.test(nftSaid) && /not supported|No such file|unknown chain hook/i.test(nftSaid);
}
