import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type * as Programs from "../../dist/host/program";
import { forKind } from "../../dist/provider";
import { confirmedOf } from "../../dist/providers/stored";
import type { LabHost } from "../../tools/lab";
import { world } from "../../tools/lab/world";
import { accessOf, type Props } from "../lab/drive";

/** The program with steps at which it stops; what it does else is the same to the byte. */
const source = readFileSync(join(__dirname, "..", "..", "dist", "host", "drawbridge-host"), "utf8");
const IDLE = "step() { :; }\n";
const STOPPING = `step() {
	[ -e /run/drill/at ] && [ "$(cat /run/drill/at)" = "$1" ] || return 0
	echo "$$" >/run/drill/pid
	read -r own _ </proc/self/stat && echo "$own" >/run/drill/own
	mv /run/drill/at /run/drill/reached 2>/dev/null || return 0
	while [ -e /run/drill/reached ]; do sleep 0.1; done
}
`;

/** Every step of a transaction, from the program itself: a new one is drilled without being remembered. */
export const steps: readonly string[] = [...new Set([...source.matchAll(/^\s*step ([a-z-]+)$/gm)].map(([, name = ""]) => name))];

/** Steps that only an undo comes by. */
export const isOfUndo = (step: string) => step.startsWith("undo");

/** Steps that only a confirmation comes by, from the one at which the change stands for good. */
export const isConfirmed = (step: string) => step === "confirmed" || step.startsWith("ke");

/** The path of a program that stops where a drill wants it; this process uses it too. */
function stoppingProgram(): string {
  if (source.split(IDLE).length !== 2) throw new Error("the program has no step() to replace");
  const changed = source.replace(IDLE, () => STOPPING);
  const digest = createHash("sha256").update(changed).digest("hex");
  const text = changed.replace(/^DIGEST=.*$/m, `DIGEST=${digest}`);
  const path = join(mkdtempSync(join(world(), "drill-")), "drawbridge-host");
  writeFileSync(path, text);
  const programs = jest.requireActual<typeof Programs>("../../dist/host/program");
  const { version } = programs.hostProgram();
  jest.spyOn(programs, "hostProgram").mockReturnValue({ text: Buffer.from(text), version, digest });
  return path;
}

export interface Outcome {
  readonly outs?: Props;
  readonly error?: string;
  readonly code?: string;
  readonly reasons?: readonly string[];
}

/** One resource of a drill: always the same on the host, whatever ran before. */
export interface Part {
  readonly kind: string;
  readonly name: string;
  readonly id: string;
  /** By the name of a state. A state in which it is absent has none. */
  readonly args: Readonly<Record<string, Props>>;
}

/** In which state a part is meant to be. */
export type StateOf = (part: Part) => string;

const wantedOf = (part: Part, state: string | StateOf) => part.args[typeof state === "string" ? state : state(part)];

/** What a stack holds of a host: rules, sudo and links, which change together. */
export class Stack {
  /** What the engine keeps of each part. */
  readonly #states = new Map<string, Props>();
  readonly #program = stoppingProgram();

  constructor(
    readonly host: LabHost,
    readonly parts: readonly Part[],
    readonly deadlineSeconds: number,
    readonly user = "deploy",
  ) {}

  /** A provider that brings all parts into a state, or each into its own. */
  start(state: string | StateOf): Provider {
    const changes = this.parts.flatMap((part) => {
      const { kind, name, id } = part;
      const wanted = wantedOf(part, state);
      const olds = this.#states.get(id);
      if (wanted === undefined && olds === undefined) return [];
      const origin = { project: "drills", stack: "lab", name };
      const all = wanted && { ...accessOf(this.host, this.user), confirmDeadlineSeconds: this.deadlineSeconds, ...wanted };
      return [{ kind, id, olds, ...(all ? { args: all } : {}), origin }];
    });
    return new Provider({ program: this.#program, changes }, (outcomes) => {
      for (const [index, { id, args }] of changes.entries()) {
        const { outs, error } = outcomes[index] ?? {};
        if (outs) this.#states.set(id, outs);
        else if (args === undefined && error === undefined) this.#states.delete(id);
      }
    });
  }

  /** The outputs of a part, where it exists. */
  outputs({ id }: Part): Props | undefined {
    return this.#states.get(id);
  }

  /** As `pulumi refresh`: for each part "gone", or the ids of the lines that are not as in `state`. */
  async refresh(state: string | StateOf): Promise<Record<string, string | readonly string[]>> {
    const found: Record<string, string | readonly string[]> = {};
    for (const part of this.parts) {
      const { kind, name, id } = part;
      const provider = forKind(kind);
      const wanted = wantedOf(part, state) ?? Object.values(part.args)[0] ?? {};
      const origin = { project: "drills", stack: "lab", name };
      const access = accessOf(this.host, this.user);
      const news = { ...access, confirmDeadlineSeconds: this.deadlineSeconds, ...wanted, __origin: origin };
      const inputs = (await provider.check?.({}, news))?.inputs as Props;
      const olds = this.#states.get(id);
      const result = await provider.read?.(id, olds ?? inputs);
      if (!result?.id) {
        found[name] = "gone";
        this.#states.delete(id);
        continue;
      }
      const props = result.props as Props;
      this.#states.set(id, props);
      const [is, was] = [props["rules"] as Props, inputs["rules"] as Props];
      const confirmed = olds && confirmedOf(olds)?.rules;
      if (confirmed && !isDeepStrictEqual(confirmed, was)) {
        // The engine does not know how an update ended: what refresh says is whether the host is still as it was confirmed before.
        found[name] = isDeepStrictEqual(is, confirmed) ? ["as it was"] : [];
        continue;
      }
      found[name] = [...new Set([...Object.keys(is), ...Object.keys(was)])].filter(
        // What was made while its provider died is there, and confirmed by nobody that the engine knows.
        (line) => is[line] !== was[line] && (olds !== undefined || !/^file \S+$/.test(line)),
      );
    }
    return found;
  }
}

/** A process of its own that changes a host. */
export class Provider {
  readonly process: ChildProcess;
  /** Of what it changes. */
  readonly ids: readonly string[];
  /** What became of each resource; undefined where the process ended before it could say it. */
  readonly outcomes: Promise<readonly Outcome[] | undefined>;

  constructor(
    task: { readonly program: string; readonly changes: readonly { readonly id: string }[] },
    keep: (outcomes: readonly Outcome[]) => void,
  ) {
    this.ids = task.changes.map(({ id }) => id);
    this.process = spawn(process.execPath, [join(__dirname, "dynamic-provider.mjs"), JSON.stringify(task)], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    let said = "";
    let complaint = "";
    this.process.stdout?.on("data", (text: Buffer) => (said += text.toString("utf8")));
    this.process.stderr?.on("data", (text: Buffer) => (complaint += text.toString("utf8")));
    this.outcomes = new Promise((resolve, reject) => {
      this.process.once("close", (code) => {
        if (/Error|Unhandled/.test(complaint)) return reject(new Error(complaint));
        if (code !== 0 || said === "") return resolve(undefined);
        const outcomes = JSON.parse(said) as Outcome[];
        keep(outcomes);
        resolve(outcomes);
      });
    });
    this.outcomes.catch(() => undefined);
  }
}

/** Waits until a transaction stands at the step where it was told to. */
export const untilReached = (host: LabHost, step: string) =>
  waitFor(`the step ${step}`, 60, () => existsSync(join(host.files, "run", "drill", "reached")));

/** The files and folders of all transactions that the host has not done with. */
export function transactionsOf(host: LabHost): readonly string[] {
  const folder = join(host.files, "var", "lib", "drawbridge", "txn");
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" });
  } catch {
    // The last one takes the folder along; any other may go while it is looked at.
    return existsSync(folder) ? transactionsOf(host) : [];
  }
}

/** Waits until no transaction is waiting for its confirmation or its undo, and nobody is at work on one. */
export const untilSettled = (host: LabHost) =>
  waitFor("the host", 60, async () => {
    if (transactionsOf(host).some((path) => /\/(pending|reverting)$/.test(path))) return false;
    return (await host.run("pgrep -f '[d]rawbridge-host'", { allowFailure: true })).code !== 0;
  });

/** Waits for something of the host's, generously and not for ever. */
export async function waitFor(what: string, seconds: number, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await sleep(50);
  }
}

const MADE_UP = / \/var\/lib\/drawbridge\/(machine|made|found\/links\/[^/]+\/address(_of)?)$/;
const LINK_LOCAL = /,?\{"family":"inet6","local":"fe80::[^}]*\}/g;
const BY_NUMBER = /^[0-9a-f]{64} {2}\/etc\/g(shadow|roup)$/;
const WITHOUT_CARRIER = /^route .*"multicast".*"linkdown"/;

/**
 * What of a host's fingerprint does not change by itself: its id in our eyes, and a new bridge's first address with the link-local one of it, are made up, folders are listed as they came, a port
 * without carrier keeps what its bridge was called when it came, a bridge without carrier may have its route for multicast or not, and a
 * new group has the number and the place that are free.
 */
export async function standing(host: LabHost): Promise<string> {
  const { stdout: groups } = await host.run(
    "sed 's/^/group /; s/:[0-9]*:/:/' /etc/group | sort; sed 's/^/gshadow /' /etc/gshadow | sort",
  );
  const changing = [MADE_UP, BY_NUMBER, WITHOUT_CARRIER];
  const lines = (await host.fingerprint()).split("\n").filter((line) => !changing.some((form) => form.test(line)));
  return [...lines, ...groups.split("\n")]
    .map((line) => line.replace(LINK_LOCAL, ""))
    .map((line) => (line.includes('"info_slave_kind"') ? line.replace(/"(bridge|root)_id":"[^"]*",/g, "") : line))
    .join("\n");
}
