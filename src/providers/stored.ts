import { z } from "zod";
import type { HostFile } from "../core/files/host-file";
import { type Access, access } from "../core/values/connection";
import { objectName, origin, type Origin } from "../core/values/names";
import type { Target } from "../host/ssh";
import type { AnyKind } from "./spec";
import { type Reporter, reporterFor } from "./status";
import { pick, type Props } from "./wire";

/** What only a confirmed create or update writes: the measure of every later read. */
export const applied = z.object({
  /** Path to the SHA-256 of the bytes that stand there. */
  files: z.record(z.string(), z.string()),
  rules: z.record(z.string(), z.string()),
});
export type AppliedState = z.infer<typeof applied>;

/** A resource's properties, checked or from the state of any earlier version, typed. */
export interface Stored {
  readonly intent: Props;
  readonly access: Access;
  readonly origin: Origin;
  /** Its name on the host. */
  readonly object: string;
  /** Absent before it stands for the first time, as `applied`. */
  readonly machine: string | undefined;
  readonly applied: AppliedState | undefined;
  /** The key that accept-new pinned. */
  readonly hostKey: string | undefined;
  readonly report: Reporter;
}

const accessSchema = z.object(access);

export function readStored(spec: AnyKind, props: Props): Stored {
  const from = origin.parse(props["__origin"]);
  const state = applied.safeParse(props["applied"]);
  const text = (key: string) => z.string().optional().catch(undefined).parse(props[key]);
  return {
    intent: spec.schema.parse(pick(props, Object.keys(spec.schema.shape))),
    access: accessSchema.parse(pick(props, Object.keys(access))),
    origin: from,
    object: objectName(spec.kind, from),
    machine: text("machineId"),
    applied: state.success ? state.data : undefined,
    hostKey: text("pinnedHostKey"),
    report: reporterFor(props["__urn"]),
  };
}

/** The files that make the resource stand, as `owner` writes them. */
export function filesOf(spec: AnyKind, { intent, origin: from, object }: Stored, owner: string, network: string): HostFile[] {
  // One line of a comment, whatever the names hold.
  const described = `${from.project}/${from.stack} ${spec.kind} ${from.name}`.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
  return spec.files({ object, owner, from: described }, intent, network);
}

/** The way to the resource's host. */
export function targetOf({
  access: { connection, become, privateKeyPath, privateKeyEnv, passwordEnv, hostKeyPolicy },
  hostKey,
}: Stored): Target {
  const target = { connection, become, privateKeyPath, privateKeyEnv, passwordEnv, hostKeyPolicy };
  return hostKey === undefined ? target : { ...target, pinnedHostKey: hostKey };
}
