import { randomBytes } from "node:crypto";
import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { HostError } from "../core/errors";
import { access } from "../core/values/connection";
import { objectName, origin } from "../core/values/names";
import { type PooledHost, pooledHost } from "../host/pool";
import { type Applied, DEFAULT_DEADLINE_SECONDS } from "../host/transaction";
import { lookBefore, noteAwaited } from "./before";
import { contentBeside, withContent } from "./beside";
import { changeOf, pathsOf } from "./change";
import { duplicateOf, heldIds, kindsDeclaredOn, rememberForwarded, rememberGroups } from "./claims";
import { forecastCreate, forecastUpdate } from "./forecast";
import { observe, sayExpired } from "./observe";
import { previewed } from "./preflight";
import { isOutOfReach, isSilent, mayForget, mayLeaveUnread, notLifted, undeleted, unread } from "./out-of-reach";
import { repairOthers, takesItsTurn } from "./repairs";
import { problemsWithoutSecrets, rememberSecrets, withoutSecretsIn } from "./secrets";
import type { AnyKind, Problem } from "./spec";
import { allSaid, recalledUrn, rememberUrn, reporterFor } from "./status";
import { appliedBy, confirmedOf, driftOf, hostOfState, labelOf, pinnedFor, readStored, type Stored, targetOf } from "./stored";
import { hasUnknown, isSame, pick, type Props, toWire, UNKNOWN } from "./wire";

/** The one lifecycle of all kinds, as Pulumi's dynamic provider protocol wants it. */
export function lifecycleOf(spec: AnyKind): pulumi.dynamic.ResourceProvider {
  const argumentsSchema = z.strictObject({ ...access, ...spec.schema.shape });
  const argumentNames = Object.keys(argumentsSchema.shape);
  const defaults = defaultsOf(spec);

  const stored = (props: Props) => readStored(spec, props);

  /** Makes `next` stand where its connection leads, and returns what goes into the state. */
  async function converge(id: string, declared: Stored, previous: Stored | undefined, inputs: Props): Promise<Props> {
    const next = { ...declared, intent: await withContent(spec, declared.intent) };
    const host = pooledHost(targetOf(next));
    const wasDrifted = await takesItsTurn(host, next.object);
    try {
      const properties = await convergeOn(host, id, next, previous, inputs);
      if (wasDrifted) next.report.note("repaired: what differed stands on the host as the program says again");
      return properties;
    } catch (error) {
      await repairOthers(host, labelOf(spec, next), error);
      throw error;
    }
  }

  async function convergeOn(
    host: PooledHost,
    id: string,
    next: Stored,
    previous: Stored | undefined,
    inputs: Props,
  ): Promise<Props> {
    const found = await lookBefore(spec, next, host);
    const change = changeOf(spec, id, next, previous, found.facts.network);
    const result = await host.change(change);
    heldIds.add(id);
    sayNotes(result, next);
    const note = spec.note?.(next.object, next.intent, found, kindsDeclaredOn(next.access.connection));
    if (note !== undefined) next.report.note(note);
    sayExpired(spec, next.intent, next.report);
    await noteAwaited(spec, next, found, host);
    const pinned = next.access.hostKeyPolicy === "accept-new" ? await host.remote.hostKey() : undefined;
    if (previous?.machine !== undefined && previous.machine !== result.machine) await lift(id, previous, next);
    const applied = appliedBy([...change.puts, ...change.keeps]);
    return { ...inputs, applied, machineId: result.machine, pinnedHostKey: pinned };
  }

  /** Deletes what stands under `id` on the machine of `previous`; where that is out of reach, says so. */
  async function lift(id: string, previous: Stored, next: Stored): Promise<void> {
    const where = previous.access.connection.host;
    if (isSame(previous.access.connection, next.access.connection)) {
      return next.report.warning(`${where} is another machine now; what stood on the old one could not be taken away there`);
    }
    try {
      const { elsewhere } = await remove(id, previous);
      if (elsewhere)
        next.report.warning(`${where} is another machine now; what stood on the old one could not be taken away there`);
    } catch (error) {
      if (isOutOfReach(error) && !isSilent(error)) throw notLifted(error);
      if (!(error instanceof HostError)) throw error;
      next.report.warning(`could not be taken away from the host it moved from: ${error.message}`);
    }
  }

  async function remove(id: string, from: Stored) {
    const host = hostOfState(from);
    await takesItsTurn(host, from.object);
    return host.change({
      label: labelOf(spec, from),
      action: "deleted",
      object: from.object,
      owner: id,
      puts: [],
      keeps: [],
      drops: pathsOf(spec, from),
      ...(from.machine === undefined ? {} : { machine: from.machine }),
      held: [],
      adopt: false,
      changesFacts: spec.domain === "links",
      deadlineSeconds: from.access.confirmDeadlineSeconds ?? DEFAULT_DEADLINE_SECONDS,
      onStatus: from.report.status,
    });
  }

  return {
    check: wholly(async (olds: Props | undefined, news: Props) => {
      const { __urn: urn, __origin: from, __provider: provider, __preview: preview, __secretArguments: secrets } = news;
      isPreview = preview === true;
      rememberGroups(news["__groups"]);
      const { known, unknown } = partition(
        pick(
          news,
          Object.keys(news).filter((key) => !INTERNAL.has(key)),
        ),
      );
      const shape = Object.entries(argumentsSchema.shape).filter(([key]) => !unknown.includes(key));
      const parsed = z.strictObject(Object.fromEntries(shape)).safeParse(known);
      if (!parsed.success) return { inputs: news, failures: problemsWithoutSecrets(problemsOf(parsed.error), news) };
      const completed = spec.complete?.(parsed.data, olds ?? {}, new Date());
      const beside = await contentBeside(spec, parsed.data);
      if (!("kept" in beside)) return { inputs: news, failures: problemsWithoutSecrets([...beside], news) };
      // A preview shows what the program says, and nothing that it leaves out. States of 0.1.0 hold the defaults; there they stay, so that they do not show as going.
      const isShown = (key: string) => key in known || (parsed.data[key] !== undefined && isSame(olds?.[key], parsed.data[key]));
      const inputs: Props = {
        ...pick({ ...parsed.data, ...completed }, Object.keys(parsed.data).filter(isShown)),
        ...beside.kept,
        ...pick(news, unknown),
        __origin: from,
        __provider: provider,
      };
      const ownUnknown = unknown.some((key) => key in spec.schema.shape) || hasUnknown(from);
      const intent = pick({ ...defaults, ...inputs }, Object.keys(spec.schema.shape));
      const failures = ownUnknown ? [] : spec.review(intent);
      const double = duplicateOf(spec.kind, from, inputs["connection"], urn);
      if (double !== undefined) failures.push({ property: "name", reason: double });
      if (!ownUnknown && failures.length === 0) rememberForwarded(inputs["connection"], spec.forwards?.(intent) ?? []);
      const rules = ownUnknown ? UNKNOWN : spec.rules(objectName(spec.kind, origin.parse(from)), intent);
      rememberUrn(spec.kind, inputs, urn);
      const checked = toWire({ ...inputs, rules, __secretArguments: secrets });
      rememberSecrets(checked);
      if (isPreview && !ownUnknown) sayExpired(spec, intent, reporterFor(urn));
      if (isPreview && failures.length === 0 && olds?.["__origin"] === undefined) {
        forecastCreate(checked, urn);
        failures.push(...(await previewed(spec, randomId(), { ...checked, __urn: urn }, undefined)));
      }
      return failures.length > 0 ? { inputs: news, failures: problemsWithoutSecrets(failures, news) } : { inputs: checked };
    }),

    diff: wholly(async (id: pulumi.ID, olds: Props, news: Props) => {
      // What accept-new has pinned here holds for resources of the same host that are new.
      if (olds["pinnedHostKey"] !== undefined) pooledHost(targetOf(stored(olds)));
      const names = [...argumentNames, "rules", "__origin"];
      if (isPreview) forecastUpdate(spec, olds, news, recalledUrn(spec.kind, news) ?? olds["__urn"]);
      const valueOf = (props: Props, name: string) => props[name] ?? defaults[name];
      // With `undefined` the engine compares the inputs itself and shows the detail; unknown values may differ.
      const differs = hasUnknown(news) || names.some((name) => !isSame(valueOf(olds, name), valueOf(news, name)));
      // Drift that an earlier refresh has already put into inputs and outputs alike is still drift.
      const confirmed = confirmedOf(olds);
      const changes =
        differs ||
        !confirmed ||
        olds["unconfirmed"] === true ||
        !isSame(confirmed.rules, olds["rules"]) ||
        hasBecomeSecret(olds, news);
      if (isPreview && changes) {
        const urn = recalledUrn(spec.kind, news) ?? olds["__urn"];
        const refused = await previewed(spec, id, { ...news, __urn: urn }, olds);
        if (refused.length > 0) throw new Error(refused.map(({ property, reason }) => `${property}: ${reason}`).join("\n"));
      }
      // The engine would show those of our own keys that differ; what it compares for a plain `true` is without them.
      return differs && OURS.every((name) => isSame(olds[name], news[name])) ? {} : { changes };
    }),

    create: wholly(async (inputs: Props) => {
      const urn = recalledUrn(spec.kind, inputs);
      const id = randomId();
      const next = { ...stored(inputs), report: reporterFor(urn) };
      const properties = { ...withDefaults(inputs, defaults), __urn: urn };
      try {
        return { id, outs: toWire(await converge(id, next, undefined, properties)) };
      } catch (error) {
        throw unconfirmed(error, id, properties);
      }
    }),

    update: wholly(async (id: pulumi.ID, olds: Props, news: Props) => {
      const urn = recalledUrn(spec.kind, news) ?? olds["__urn"];
      const previous = stored(olds);
      const fresh = stored(news);
      const next = { ...fresh, report: reporterFor(urn), hostKey: pinnedFor(fresh, previous) };
      const properties = { ...withDefaults(news, defaults), __urn: urn };
      try {
        return { outs: toWire(await converge(id, next, previous, properties)) };
      } catch (error) {
        // What was confirmed stays the measure; the mark makes the next up try again.
        const drift = previous.applied && driftOf(previous.applied.rules, spec.rules(fresh.object, fresh.intent));
        throw unconfirmed(error, id, { ...olds, ...properties, __drift: drift, unconfirmed: true });
      }
    }),

    read: wholly(async (id: pulumi.ID, props: Props = {}) => {
      if (props["__origin"] === undefined)
        throw new Error(
          "Drawbridge's resources cannot be imported or looked up by id; declare them, they take over what is theirs",
        );
      const current = stored(props);
      try {
        const rules = await observe(spec, id, current);
        if (rules === undefined) return {};
        const drift = current.applied && driftOf(current.applied.rules, rules);
        // Where none are given, the engine keeps the inputs that it has. Very many resources are read one after the other, and most stand as before.
        if (isSame(rules, props["rules"]) && isSame(drift, props["__drift"])) return { id, props };
        const said = argumentNames.filter((name) => !unsaidOf(props).includes(name));
        const inputs = pick(props, [...said, "__origin", "__provider", "__secretArguments"]);
        return { id, props: toWire({ ...props, rules, __drift: drift }), inputs: toWire({ ...inputs, rules }) };
      } catch (error) {
        if (!isOutOfReach(error)) throw error;
        if (!isSilent(error) || !mayLeaveUnread()) throw unread(error);
        current.report.warning(`not read, the state is kept as it was: ${error.message}`);
        return { id, props: toWire(props) };
      }
    }),

    delete: wholly(async (id: pulumi.ID, props: Props) => {
      const current = stored(props);
      try {
        const result = await remove(id, current);
        sayNotes(result, current);
        if (result.elsewhere)
          current.report.warning(
            `${current.access.connection.host} is another machine than the one it was made on; nothing was deleted there`,
          );
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        if (error.failure.code === "rejected" && spec.domain === "sudo") {
          throw new HostError({
            ...error.failure,
            wayOut: "`retainOnDelete: true` forgets the resource and leaves its file on the host.",
          });
        }
        if (!isOutOfReach(error)) throw error;
        if (!isSilent(error) || !mayForget()) throw undeleted(error);
        current.report.warning(`forgotten, but not deleted on the host: ${error.message}`);
      }
    }),
  };
}

/** The operation, which ends only when the engine has taken what was said of it, and of which no error quotes a secret. */
function wholly<Arguments extends readonly unknown[], Result>(operation: (...args: Arguments) => Promise<Result>) {
  return async (...args: Arguments): Promise<Result> => {
    for (const properties of args) if (isProps(properties)) rememberSecrets(properties);
    try {
      return await operation(...args);
    } catch (error) {
      throw withoutSecretsIn(error);
    } finally {
      await allSaid();
    }
  };
}

const isProps = (value: unknown): value is Props => typeof value === "object" && value !== null;

/** What each argument is that a program may leave out and has a default. */
export const defaultsOf = ({ schema: { shape } }: AnyKind): Props =>
  Object.fromEntries(
    Object.entries(shape).flatMap(([name, one]) => {
      const value: unknown = z.safeParse(one, undefined).data;
      return value === undefined ? [] : [[name, value] as const];
    }),
  );

/** The arguments for the state, whose outputs say how everything stands; with the names of those that the program leaves out. */
function withDefaults(said: Props, defaults: Props): Props {
  const unsaid = Object.keys(defaults).filter((name) => said[name] === undefined);
  return { ...defaults, ...said, __unsaid: unsaid.length > 0 ? unsaid : undefined };
}

const listOfNames = z.array(z.string()).catch([]);
const unsaidOf = (props: Props) => listOfNames.parse(props["__unsaid"]);

const randomId = () => randomBytes(16).toString("hex");

/** Whether the program runs for a preview; the engine tells it to the program only, and one process serves one run. */
let isPreview = false;

/** Inputs that are no arguments of the user's. */
const OURS = ["__origin", "__provider", "__secretArguments"];

const INTERNAL = new Set([
  ...OURS,
  "__urn",
  "__preview",
  "__groups",
  "rules",
  "applied",
  "__drift",
  "__unsaid",
  "machineId",
  "pinnedHostKey",
  "unconfirmed",
]);

function sayNotes({ kept, said }: Pick<Applied, "kept" | "said">, { report }: Stored): void {
  for (const sentence of said) report.warning(sentence);
  if (kept.length > 0) report.warning(`left as it is, since others have changed it:\n  ${kept.join("\n  ")}`);
}

/** An argument has become a secret, so that the lines in the state have to; states of 0.1.0 held them plain. */
const hasBecomeSecret = (olds: Props, news: Props) =>
  news["__secretArguments"] !== undefined && olds["__secretArguments"] === undefined;

function partition(props: Props): { known: Props; unknown: string[] } {
  const unknown = Object.keys(props).filter((key) => hasUnknown(props[key]));
  return {
    known: pick(
      props,
      Object.keys(props).filter((key) => !unknown.includes(key)),
    ),
    unknown,
  };
}

const TRANSLATION = ["nat", "dnat", "snat", "redirect", "masquerade"];

/** What somebody may look for here is answered where the reason is known. */
const noSuchProperty = (key: string) =>
  TRANSLATION.includes(key.toLowerCase())
    ? "there is no such property: Drawbridge translates no addresses. A rule sees a packet behind destination NAT and before source NAT, so write the addresses and ports that it has there"
    : "there is no such property";

function problemsOf(error: z.ZodError): Problem[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path
      .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
      .join("")
      .replace(/^\./, "");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ property: path === "" ? key : `${path}.${key}`, reason: noSuchProperty(key) }));
    }
    return [{ property: path, reason: issue.message }];
  });
}

/** An outcome that nobody knows is kept in the state; everything else has left nothing on the host. */
function unconfirmed(error: unknown, id: string, properties: Props): unknown {
  if (!(error instanceof HostError) || error.failure.code !== "outcome-unknown") return error;
  return Object.assign(new Error(error.message), { id, properties: toWire(properties), reasons: [error.message] });
}
