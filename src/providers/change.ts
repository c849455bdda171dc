import { type Change, DEFAULT_DEADLINE_SECONDS } from "../host/transaction";
import { digest, type HostFile } from "../core/files/host-file";
import { partOf } from "../core/netfilter/nft";
import { heldIds } from "./claims";
import type { AnyKind } from "./spec";
import { filesOf, labelOf, type Stored } from "./stored";

/** Where files of the resource may stand: those that were confirmed, or all that are possible. */
export const pathsOf = (spec: AnyKind, { applied: state, object }: Stored) =>
  state ? Object.keys(state.files) : spec.paths(object);

/** The change that makes `next` stand in the place of `previous`; `network` says who configures the host's addresses. */
export function changeOf(spec: AnyKind, id: string, next: Stored, previous: Stored | undefined, network: string): Change {
  const files = filesOf(spec, next, id, network);
  const paths = new Set(files.map(({ path }) => path));
  // What is no part is always sent, so that the host also repairs what differs in its kernel only.
  const stands = ({ path, text }: HostFile) => partOf(path) !== undefined && previous?.applied?.files[path] === digest(text);
  return {
    label: labelOf(spec, next),
    action: previous === undefined ? "created" : "updated",
    object: next.object,
    owner: id,
    puts: files.filter((file) => !stands(file)),
    keeps: files.filter(stands),
    drops: (previous ? pathsOf(spec, previous) : []).filter((path) => !paths.has(path)),
    ...(previous?.machine === undefined ? {} : { machine: previous.machine }),
    held: [...heldIds],
    adopt: next.access.adopt ?? false,
    changesFacts: spec.domain === "links",
    deadlineSeconds: next.access.confirmDeadlineSeconds ?? DEFAULT_DEADLINE_SECONDS,
    onStatus: next.report.status,
  };
}
