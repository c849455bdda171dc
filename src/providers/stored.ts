import { z } from "zod";
import type { Rules } from "../core/files/drift";
import { digest, type HostFile } from "../core/files/host-file";
import { partOf, partPath } from "../core/netfilter/nft";
import { type Access, access } from "../core/values/connection";
import { objectName, origin, type Origin } from "../core/values/names";
import { printableLine } from "../core/values/printable";
import { type PooledHost, pooledHost } from "../host/pool";
import type { Target } from "../host/target";
import type { AnyKind } from "./spec";
import { type Reporter, reporterFor } from "./status";
import { isSame, pick, type Props } from "./wire";

const texts = z.record(z.string(), z.string());
const textsOrNone = texts.catch({});
const textOrNone = z.string().optional().catch(undefined);

/** What only a confirmed create or update writes: the measure of every later read. */
const applied = z.object({
  /** Path to the SHA-256 of the bytes that stand there. */
  files: texts,
  /** Of a file whose elements are spread over parts: the digests of those, in their order, one behind the other. */
  parts: texts.optional(),
  /** States of 0.1.0 hold them whole. */
  rules: texts.optional(),
});
export interface Confirmed {
  readonly files: Readonly<Record<string, string>>;
  readonly rules: Rules;
}

/**
 * What was confirmed. Its rules are those of `rules`, but where `__drift` has another line: the engine writes the whole state again after
 * each step, so that nothing stands there twice.
 */
export function confirmedOf(props: Props): Confirmed | undefined {
  const state = applied.safeParse(props["applied"]);
  if (!state.success) return undefined;
  const { rules } = state.data;
  const files = { ...state.data.files, ...unpackedParts(state.data.parts ?? {}) };
  if (rules) return { files, rules };
  const drift = textsOrNone.parse(props["__drift"]);
  const kept = Object.entries(textsOrNone.parse(props["rules"])).filter(([id]) => !(id in drift));
  return { files, rules: Object.fromEntries([...kept, ...Object.entries(drift).filter(([, line]) => line !== NOT_THERE)]) };
}

/** What {@link confirmedOf} reads of files that have been confirmed. */
export function appliedBy(files: readonly HostFile[]): z.infer<typeof applied> {
  const whole = files.filter(({ path }) => partOf(path) === undefined);
  const parts = files
    .flatMap(({ path, text }) => {
      const part = partOf(path);
      return part === undefined ? [] : [{ ...part, digest: digest(text) }];
    })
    .toSorted((a, b) => a.part - b.part);
  const packed: Record<string, string> = {};
  for (const { of, digest: own } of parts) packed[of] = `${packed[of] ?? ""}${own}`;
  return {
    files: Object.fromEntries(whole.map(({ path, text }) => [path, digest(text)])),
    ...(parts.length > 0 ? { parts: packed } : {}),
  };
}

const unpackedParts = (parts: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(parts).flatMap(([of, digests]) =>
      (digests.match(/.{64}/g) ?? []).map((own, part) => [partPath(of, part), own] as const),
    ),
  );

// No rule is an empty line.
const NOT_THERE = "";

/** Where `rules` are not what was confirmed: the line as it was confirmed, by its id. Nothing where they are. */
export function driftOf(confirmed: Rules, rules: Rules): Rules | undefined {
  const ids = [...new Set([...Object.keys(confirmed), ...Object.keys(rules)])].filter((id) => confirmed[id] !== rules[id]);
  return ids.length === 0 ? undefined : Object.fromEntries(ids.map((id) => [id, confirmed[id] ?? NOT_THERE]));
}

/** A resource's properties, checked or from the state of any earlier version, typed. */
export interface Stored {
  readonly intent: Props;
  readonly access: Access;
  readonly origin: Origin;
  /** Its name on the host. */
  readonly object: string;
  /** Absent before it stands for the first time, as `applied`. */
  readonly machine: string | undefined;
  readonly applied: Confirmed | undefined;
  /** The key that accept-new pinned. */
  readonly hostKey: string | undefined;
  readonly report: Reporter;
  /** An argument is a secret, and so is every line made of it: none may be said. */
  readonly hasSecretRules: boolean;
}

const accessSchema = z.object(access);

export function readStored(spec: AnyKind, props: Props): Stored {
  const from = origin.parse(props["__origin"]);
  const text = (key: string) => textOrNone.parse(props[key]);
  return {
    intent: spec.schema.parse(pick(props, Object.keys(spec.schema.shape))),
    access: accessSchema.parse(pick(props, Object.keys(access))),
    origin: from,
    object: objectName(spec.kind, from),
    machine: text("machineId"),
    applied: confirmedOf(props),
    hostKey: text("pinnedHostKey"),
    report: reporterFor(props["__urn"]),
    hasSecretRules: props["__secretArguments"] !== undefined,
  };
}

/** "LeakFence uplink". A name may hold any character; on the host it stands in a line among others, and in a terminal. */
export const labelOf = (spec: AnyKind, { origin: { name } }: Stored) => `${spec.kind} ${printableLine(name, 200)}`;

/** The files that make the resource stand, as `owner` writes them. */
export function filesOf(spec: AnyKind, { intent, origin: from, object }: Stored, owner: string, network: string): HostFile[] {
  // One line of a comment, whatever the names hold.
  const described = `${from.project}/${from.stack} ${spec.kind} ${from.name}`.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
  return spec.files({ object, owner, from: described }, intent, network);
}

/** The way to the resource's host. */
export function targetOf({
  access: { connection, become, privateKeyPath, privateKeyEnv, passwordEnv, hostKeyPolicy, machine },
  hostKey,
}: Stored): Target {
  const target = { connection, become, privateKeyPath, privateKeyEnv, passwordEnv, hostKeyPolicy, machine };
  return hostKey === undefined ? target : { ...target, pinnedHostKey: hostKey };
}

/** The key that accept-new has pinned, as long as the resource stays where it is. */
export function pinnedFor(next: Stored, previous: Stored): string | undefined {
  const stays =
    isSame(previous.access.machine, next.access.machine) && previous.access.connection.host === next.access.connection.host;
  return stays ? previous.hostKey : undefined;
}

/** The host as the state knows it, whose credentials may be old by now: where they are refused, this machine's own are tried. */
export function hostOfState(current: Stored): PooledHost {
  const host = pooledHost(targetOf(current));
  host.remote.mayTryOwn((what) =>
    current.report.note(`the credentials in the state are refused; ${what} was taken in their place`),
  );
  return host;
}
