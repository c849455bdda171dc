import { randomBytes } from "node:crypto";
import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { HostError } from "../core/errors";
import { compareFile, type Drift } from "../core/files/drift";
import { digest, type HostFile } from "../core/files/host-file";
import type { HostSnapshot } from "../core/files/snapshot";
import { type Access, access } from "../core/values/connection";
import { objectName, origin, type Origin } from "../core/values/names";
import { type PooledHost, pooledHost } from "../host/pool";
import type { Target } from "../host/ssh";
import { DEFAULT_DEADLINE_SECONDS } from "../host/transaction";
import { claim } from "./claims";
import type { AnyKind, Problem } from "./spec";
import { type Reporter, reporterFor } from "./status";
import { hasUnknown, isSame, type Props, toWire, UNKNOWN } from "./wire";

/** What only a confirmed create or update writes: the measure of every later read. */
const applied = z.object({ files: z.record(z.string(), z.string()), rules: z.record(z.string(), z.string()) });
type AppliedState = z.infer<typeof applied>;

/** Everything that was stored, typed. `found` is absent after a create whose outcome is unknown. */
interface Stored {
  readonly intent: Props;
  readonly access: Access;
  readonly origin: Origin;
  readonly object: string;
  readonly machine: string | undefined;
  readonly applied: AppliedState | undefined;
  readonly hostKey: string | undefined;
  readonly report: Reporter;
}

const accessSchema = z.object(access);

/** The one lifecycle of all kinds, as Pulumi's dynamic provider protocol wants it. */
export function lifecycleOf(spec: AnyKind): pulumi.dynamic.ResourceProvider {
  const argumentsSchema = z.strictObject({ ...access, ...spec.schema.shape });
  const argumentNames = Object.keys(argumentsSchema.shape);

  const compiled = ({ intent, origin: from, object }: Stored, owner: string) =>
    spec.files({ object, owner, from: `${from.project}/${from.stack} ${spec.kind} ${printable(from.name)}` }, intent);

  /** Splits stored or checked properties; the engine hands over plain values. */
  function stored(props: Props): Stored {
    const from = origin.parse(props["__origin"]);
    const state = applied.safeParse(props["applied"]);
    return {
      intent: spec.schema.parse(pick(props, Object.keys(spec.schema.shape))),
      access: accessSchema.parse(pick(props, Object.keys(access))),
      origin: from,
      object: objectName(spec.kind, from),
      machine: typeof props["machineId"] === "string" ? props["machineId"] : undefined,
      applied: state.success ? state.data : undefined,
      hostKey: typeof props["pinnedHostKey"] === "string" ? props["pinnedHostKey"] : undefined,
      report: reporterFor(props["__urn"]),
    };
  }

  /** Makes `next` stand where its connection leads, and returns what goes into the state. */
  async function converge(id: string, next: Stored, previous: Stored | undefined, inputs: Props): Promise<Props> {
    const host = pooledHost(targetOf(next));
    const files = compiled(next, id);
    const paths = new Set(files.map(({ path }) => path));
    const facts = await host.snapshots.lookForFacts(next.report.status);
    refuseIfNeeded(spec, next, facts, host);
    claim(facts.machine, next.object, id, host.remote.name);
    const state: AppliedState = {
      files: Object.fromEntries(files.map(({ path, text }) => [path, digest(text)])),
      rules: spec.rules(next.object, next.intent),
    };
    const result = await host.change({
      label: `${spec.kind} ${next.origin.name}`,
      object: next.object,
      owner: id,
      puts: files,
      drops: Object.keys(previous?.applied?.files ?? {}).filter((path) => !paths.has(path)),
      ...(previous?.machine === undefined ? {} : { machine: previous.machine }),
      deadlineSeconds: next.access.confirmDeadlineSeconds ?? DEFAULT_DEADLINE_SECONDS,
      onStatus: next.report.status,
    });
    const pinned = next.access.hostKeyPolicy === "accept-new" ? await host.remote.hostKey() : undefined;
    if (previous?.machine !== undefined && previous.machine !== result.machine) await lift(id, previous, next);
    return { ...inputs, applied: state, machineId: result.machine, pinnedHostKey: pinned };
  }

  /** Deletes what stands under `id` on the machine of `previous`; where that is out of reach, says so. */
  async function lift(id: string, previous: Stored, next: Stored): Promise<void> {
    const where = previous.access.connection.host;
    if (isSame(previous.access.connection, next.access.connection)) {
      return next.report.warning(`${where} is another machine now; what stood on the old one could not be taken away there`);
    }
    try {
      const { elsewhere } = await remove(id, previous);
      if (elsewhere) next.report.warning(`${where} is another machine now; what stood on the old one could not be taken away there`);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      next.report.warning(`could not be taken away from the host it moved from: ${error.message}`);
    }
  }

  function remove(id: string, from: Stored) {
    return pooledHost(targetOf(from)).change({
      label: `${spec.kind} ${from.origin.name}`,
      object: from.object,
      owner: id,
      puts: [],
      drops: Object.keys(from.applied?.files ?? Object.fromEntries(spec.paths(from.object).map((path) => [path, ""]))),
      ...(from.machine === undefined ? {} : { machine: from.machine }),
      deadlineSeconds: from.access.confirmDeadlineSeconds ?? DEFAULT_DEADLINE_SECONDS,
      onStatus: from.report.status,
    });
  }

  /** `inputs` as check made them, with the drift in `rules`; `undefined` when nothing of the resource stands. */
  async function observe(id: string, props: Props, current: Stored): Promise<Props | undefined> {
    const host = pooledHost(targetOf(current));
    const texts = compiled(current, id);
    const confirmedDigest = (path: string) => current.applied?.files[path];
    let snapshot = await host.snapshots.look(current.report.status);
    // A confirmed copy that was tampered with is no measure; our own text is, as long as it is what was applied.
    const lost = texts.filter(({ path, text }) => {
      const copy = snapshot.confirmed.get(path);
      return digest(text) === confirmedDigest(path) && (copy === undefined || digest(copy) !== confirmedDigest(path));
    });
    if (lost.length > 0 && lost.some(({ path }) => snapshot.files.has(path) || current.applied)) {
      snapshot = await host.snapshots.lookWith(lost, current.report.status);
    }
    const broken = snapshot.errors[spec.domain];
    if (broken !== undefined) throw new HostError({ code: "missing-tool", host: host.remote.name, step: "read the host", reason: broken });

    const paths = Object.keys(current.applied?.files ?? Object.fromEntries(texts.map(({ path }) => [path, ""])));
    const live = spec.drift(current.object, current.intent, snapshot);
    if (!live.present && paths.every((path) => !snapshot.files.has(path))) return undefined;

    const rules = { ...(current.applied?.rules ?? spec.rules(current.object, current.intent)) };
    for (const path of paths) {
      apply(rules, fileDrift(path, texts, snapshot, confirmedDigest(path), rules));
    }
    const later = paths.some((path) => snapshot.files.get(path) === undefined || digest(snapshot.files.get(path)?.text ?? "") !== confirmedDigest(path));
    apply(rules, live.drift);
    if (live.drift.size > 0 && spec.domain === "nft") {
      current.report.warning(later ? "the kernel and the files are not as confirmed: a reboot would not repair it" : "the files are as confirmed: a reboot would repair the kernel");
    } else if (later && spec.domain === "nft") {
      current.report.warning("the kernel is as confirmed, the files are not: a reboot would bring the change");
    }
    if (snapshot.facts.shut.length > 0 && spec.domain === "nft") {
      current.report.warning(`the host could not load its rules and has shut the forwarding they guard (${snapshot.facts.shut.join(", ")})`);
    }
    return { ...pick(props, [...argumentNames, "__origin", "__provider"]), rules };
  }

  return {
    check(_olds: Props, news: Props) {
      const { __urn: urn, __origin: from, __provider: provider } = news;
      const { known, unknown } = partition(pick(news, Object.keys(news).filter((key) => !INTERNAL.has(key))));
      const shape = Object.entries(argumentsSchema.shape).filter(([key]) => !unknown.includes(key));
      const parsed = z.strictObject(Object.fromEntries(shape)).safeParse(known);
      if (!parsed.success) return Promise.resolve({ inputs: news, failures: problemsOf(parsed.error) });
      const inputs: Props = { ...parsed.data, ...pick(news, unknown), __origin: from, __provider: provider };
      const ownUnknown = unknown.some((key) => key in spec.schema.shape) || hasUnknown(from);
      const intent = pick(inputs, Object.keys(spec.schema.shape));
      const failures = ownUnknown ? [] : spec.review(intent);
      const double = duplicateOf(spec.kind, from, inputs["connection"], urn);
      if (double !== undefined) failures.push({ property: "name", reason: double });
      const rules = ownUnknown ? UNKNOWN : spec.rules(objectName(spec.kind, origin.parse(from)), intent);
      rememberUrn(inputs, urn);
      return Promise.resolve(failures.length > 0 ? { inputs: news, failures } : { inputs: toWire({ ...inputs, rules }) });
    },

    diff(_id: pulumi.ID, olds: Props, news: Props) {
      const names = [...argumentNames, "rules", "__origin"];
      // With `undefined` the engine compares the inputs itself and shows the detail; unknown values may differ.
      if (hasUnknown(news) || names.some((name) => !isSame(olds[name], news[name]))) return Promise.resolve({});
      return Promise.resolve({ changes: !applied.safeParse(olds["applied"]).success });
    },

    async create(inputs: Props) {
      const urn = recalledUrn(inputs);
      const id = randomBytes(16).toString("hex");
      const next = { ...stored(inputs), report: reporterFor(urn) };
      const properties = { ...inputs, __urn: urn };
      try {
        return { id, outs: toWire(await converge(id, next, undefined, properties)) };
      } catch (error) {
        throw unconfirmed(error, id, properties);
      }
    },

    async update(id: pulumi.ID, olds: Props, news: Props) {
      const urn = recalledUrn(news) ?? olds["__urn"];
      const previous = stored(olds);
      const fresh = stored(news);
      const released = !isSame(olds["machine"], news["machine"]) || !isSame(previous.access.connection.host, fresh.access.connection.host);
      const next = { ...fresh, report: reporterFor(urn), hostKey: released ? undefined : previous.hostKey };
      const properties = { ...news, __urn: urn };
      try {
        return { outs: toWire(await converge(id, next, previous, properties)) };
      } catch (error) {
        throw unconfirmed(error, id, { ...olds, ...properties, applied: undefined });
      }
    },

    async read(id: pulumi.ID, props: Props = {}) {
      if (props["__origin"] === undefined) throw new Error("Drawbridge's resources cannot be imported or looked up by id; declare them, they take over what is theirs");
      const current = stored(props);
      try {
        const inputs = await observe(id, props, current);
        if (inputs === undefined) return {};
        return { id, props: toWire({ ...props, rules: inputs["rules"] }), inputs: toWire(inputs) };
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        if (process.env["DRAWBRIDGE_SKIP_UNREACHABLE"] === "1") {
          current.report.warning(`not read, the state is kept as it was: ${error.message}`);
          return { id, props: toWire(props) };
        }
        throw new HostError({
          ...error.failure,
          wayOut:
            "To go on without this host: DRAWBRIDGE_SKIP_UNREACHABLE=1 keeps the old state of unreachable hosts, --refresh=false looks at none, --exclude URN leaves one resource out.",
        });
      }
    },

    async delete(id: pulumi.ID, props: Props) {
      const current = stored(props);
      try {
        const { elsewhere } = await remove(id, current);
        if (elsewhere) current.report.warning(`${current.access.connection.host} is another machine than the one it was made on; nothing was deleted there`);
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        if (error.failure.code === "rejected" && spec.domain === "sudo") {
          throw new HostError({ ...error.failure, wayOut: "`retainOnDelete: true` forgets the resource and leaves its file on the host." });
        }
        if (!isUnreachable(error)) throw error;
        if (process.env["DRAWBRIDGE_DELETE_UNREACHABLE"] === "1") {
          return current.report.warning(`forgotten, but not deleted on the host: ${error.message}`);
        }
        throw new HostError({
          ...error.failure,
          wayOut:
            "If the host is gone for good: DRAWBRIDGE_DELETE_UNREACHABLE=1 forgets what cannot be reached; `deletedWith: vm` or `retainOnDelete: true` in the program say so beforehand.",
        });
      }
    },
  };
}

const INTERNAL = new Set(["__urn", "__origin", "__provider", "rules", "applied", "machineId", "pinnedHostKey"]);

function targetOf({ access: { connection, become, privateKeyPath, privateKeyEnv, passwordEnv, hostKeyPolicy }, hostKey }: Stored): Target {
  const target = { connection, become, privateKeyPath, privateKeyEnv, passwordEnv, hostKeyPolicy };
  return hostKey === undefined ? target : { ...target, pinnedHostKey: hostKey };
}

function refuseIfNeeded(spec: AnyKind, { intent }: Stored, snapshot: HostSnapshot, host: PooledHost): void {
  const broken = snapshot.errors[spec.domain];
  const step = "look before the change";
  if (broken !== undefined) throw new HostError({ code: "missing-tool", host: host.remote.name, step, reason: broken });
  const problems = spec.refuse(intent, snapshot);
  if (problems.length === 0) return;
  const reason = problems.map((problem) => `${problem.property}: ${problem.reason}`).join("\n  ");
  throw new HostError({ code: "refused", host: host.remote.name, step, reason });
}

function fileDrift(path: string, texts: readonly HostFile[], snapshot: HostSnapshot, confirmed: string | undefined, rules: Readonly<Record<string, string>>): Drift {
  const found = snapshot.files.get(path);
  const ours = texts.find((file) => file.path === path);
  const copy = snapshot.confirmed.get(path);
  // What the text was when it was confirmed: today's package may write it otherwise.
  const text = ours && digest(ours.text) === confirmed ? ours.text : copy !== undefined && digest(copy) === confirmed ? copy : undefined;
  if (ours && text !== undefined) return compareFile({ ...ours, text }, found, rules);
  if (found && digest(found.text) === confirmed) return new Map();
  return new Map([[`file ${path}`, found ? "not as confirmed" : "missing"]]);
}

function apply(rules: Record<string, string>, drift: Drift): void {
  for (const [id, line] of drift) {
    if (line === undefined) delete rules[id];
    else rules[id] = line;
  }
}

function partition(props: Props): { known: Props; unknown: string[] } {
  const unknown = Object.keys(props).filter((key) => hasUnknown(props[key]));
  return { known: pick(props, Object.keys(props).filter((key) => !unknown.includes(key))), unknown };
}

function problemsOf(error: z.ZodError): Problem[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("").replace(/^\./, "");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ property: path === "" ? key : `${path}.${key}`, reason: "there is no such property" }));
    }
    return [{ property: path, reason: issue.message }];
  });
}

function pick(props: Props, keys: readonly string[]): Props {
  return Object.fromEntries(keys.flatMap((key) => (props[key] === undefined ? [] : [[key, props[key]]])));
}

/** A resource's name for a comment on the host. */
function printable(name: string): string {
  return name.replace(/[^\x21-\x7e]/g, "?").slice(0, 100);
}

function isUnreachable(error: unknown): error is HostError {
  return error instanceof HostError && ["unreachable", "host-key", "authentication"].includes(error.failure.code);
}

/** An outcome that nobody knows is kept in the state; everything else has left nothing on the host. */
function unconfirmed(error: unknown, id: string, properties: Props): unknown {
  if (!(error instanceof HostError) || error.failure.code !== "outcome-unknown") return error;
  return Object.assign(new Error(error.message), { id, properties: toWire(properties), reasons: [error.message] });
}

// The engine tells create nothing of the URN: check remembers it by what it returned, less what only decoration is.
const urns = new Map<string, unknown>();

function urnKey(inputs: Props): string {
  return JSON.stringify([inputs["__origin"], inputs["connection"]]);
}

function rememberUrn(inputs: Props, urn: unknown): void {
  if (typeof urn === "string") urns.set(urnKey(inputs), urn);
}

function recalledUrn(inputs: Props): unknown {
  return urns.get(urnKey(inputs));
}

const declared = new Map<string, unknown>();

/** Two resources of one program that would write the same object. */
function duplicateOf(kind: string, from: unknown, connection: unknown, urn: unknown): string | undefined {
  if (typeof urn !== "string" || hasUnknown(connection)) return undefined;
  const key = JSON.stringify([kind, from, connection]);
  const other = declared.get(key) ?? urn;
  declared.set(key, other);
  return other === urn ? undefined : `${String(other)} declares the same object on the same host; give one of them another name`;
}
