import { HostError } from "../core/errors";
import type { PooledHost } from "../host/pool";
import type { Change } from "../host/transaction";
import { isOutOfReach } from "./out-of-reach";

/** A change that would put a resource back as it was last applied. */
interface Repair {
  readonly host: PooledHost;
  readonly change: Change;
  readonly note: (text: string) => void;
}

/** What reads of this run have found drifted and no operation has come for yet: by the host's name, then by object. */
const due = new Map<string, Map<string, Repair>>();
/** By the host's name: a repair under way, which an operation on the same object must not meet in one transaction. */
const underWay = new Map<string, Promise<void>>();

/** A read has found the resource drifted. */
export function noteDrifted(repair: Repair): void {
  const { name } = repair.host.remote;
  due.set(name, (due.get(name) ?? new Map<string, Repair>()).set(repair.change.object, repair));
}

/** The resource's own operation has come; true where a read of this run has found it drifted. */
export async function takesItsTurn(host: PooledHost, object: string): Promise<boolean> {
  const wasDrifted = due.get(host.remote.name)?.delete(object) ?? false;
  await underWay.get(host.remote.name);
  return wasDrifted;
}

/**
 * The engine begins nothing new after the first failure. So what stands otherwise than it was last applied on this host is put back
 * before the engine hears of the failure: nothing but the run ties it to what failed.
 */
export async function repairOthers(host: PooledHost, failed: string, error: unknown): Promise<void> {
  const { name, isCancelled } = host.remote;
  if (isCancelled || isOutOfReach(error)) return;
  if (!(error instanceof HostError) || error.failure.code === "outcome-unknown") return;
  const repairs = [...(due.get(name)?.values() ?? [])];
  due.delete(name);
  if (repairs.length === 0) return;
  const work = Promise.all(
    repairs.map(({ host: own, change, note }) =>
      own.change(change).then(
        () => note(`put back as it was last applied, since ${failed} has failed and this run may end before its turn`),
        // It stays drifted, which the state says already; its own operation will tell why.
        () => undefined,
      ),
    ),
  ).then(() => undefined);
  underWay.set(name, work);
  await work;
}
