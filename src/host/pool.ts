import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "../core/errors";
import { forgetAcceptedKeys } from "./host-key";
import { RemoteHost } from "./remote-host";
import { Snapshots } from "./snapshot";
import type { Target } from "./target";
import { type Applied, type Change, preflight, type Settled, transact } from "./transaction";

/** Between two operations that an engine starts together. */
const TOGETHER_MS = 15;
/** As long as fewer wait than the engine had under way before, the next ones are coming: it writes its state before it starts each of them. */
const STILL_COMING_MS = 200;
/** So long after a transaction the engine has started what it starts next. */
const AFTERWARDS_MS = 1_000;

/** All that this process knows of one host. Operations that wait for it gather into one transaction. */
export class PooledHost {
  readonly remote: RemoteHost;
  readonly snapshots: Snapshots;
  #waiting: {
    readonly change: Change;
    readonly done: (settled: Settled | undefined) => void;
    readonly fail: (reason: unknown) => void;
  }[] = [];
  #running = false;
  /** When the last transaction ended, and how many operations the engine had under way then: those of it, and those that waited. */
  #last = { endedAt: -Infinity, underWay: 0 };
  /** What this run has asked about and the host would take. */
  readonly #passed: Change[] = [];
  #question:
    | {
        readonly changes: Change[];
        /** By the object: several changes may need the same one, and the host refuses what is declared twice. */
        readonly beside: Map<string, Change>;
        readonly refusals: Promise<ReadonlyMap<Change, HostError>>;
      }
    | undefined;

  constructor(target: Target) {
    this.remote = new RemoteHost(target);
    this.snapshots = new Snapshots(this.remote);
  }

  /** Makes the change stand and be confirmed. @throws HostError when it does not */
  async change(change: Change): Promise<Applied> {
    return whole(change, (one) => this.#settle(one));
  }

  async #settle(change: Change): Promise<Applied> {
    const settled = await new Promise<Settled | undefined>((done, fail) => {
      this.#waiting.push({ change, done, fail });
      if (this.#running) change.onStatus(`waiting for ${this.remote.name}`);
      void this.#drain();
    });
    if (settled && !(settled instanceof HostError)) return settled;
    throw settled ?? new HostError({ code: "internal", host: this.remote.name, step: "apply", reason: "the change was lost" });
  }

  /**
   * Asks whether the host would take the change, where what it may need (`needs`) comes with it; changes nothing. What comes together is one
   * question. @throws HostError when it would not
   */
  async preflight(change: Change, needs: readonly Change[]): Promise<void> {
    return whole(change, (one) => this.#ask(one, needs));
  }

  async #ask(change: Change, needs: readonly Change[]): Promise<void> {
    this.#question ??= this.#gatherQuestion();
    const { changes, beside, refusals } = this.#question;
    changes.push(change);
    for (const need of needs) beside.set(need.object, need);
    const refusal = (await refusals).get(change);
    if (refusal) throw refusal;
    this.#passed.push(change);
  }

  #gatherQuestion() {
    const changes: Change[] = [];
    const beside = new Map<string, Change>();
    const refusals = sleep(TOGETHER_MS).then(() => {
      this.#question = undefined;
      return preflight(this.remote, changes, [...this.#passed, ...beside.values()]);
    });
    return { changes, beside, refusals };
  }

  async #drain(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    let lastTookMs = 1_000;
    while (this.#waiting.length > 0) {
      void this.remote.begin("apply");
      await this.#gather(lastTookMs);
      const started = Date.now();
      await this.remote.spaceOut((text) => this.#waiting.forEach(({ change }) => change.onStatus(text)));
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const settled = await transact(
          this.remote,
          batch.map(({ change }) => change),
        );
        for (const { change, done } of batch) done(settled.get(change));
      } catch (error) {
        for (const { fail } of batch) fail(error);
      }
      this.snapshots.forget(batch.some(({ change }) => change.changesFacts));
      lastTookMs = Date.now() - started;
      this.#last = { endedAt: Date.now(), underWay: batch.length + this.#waiting.length };
    }
    this.#running = false;
  }

  /** Waits while operations keep coming, so that what the engine starts together goes together; no longer than a transaction takes. */
  async #gather(atMostMs: number): Promise<void> {
    const started = Date.now();
    const expected = started - this.#last.endedAt < AFTERWARDS_MS ? this.#last.underWay : 0;
    let [seen, since] = [this.#waiting.length, started];
    while (Date.now() - started < atMostMs) {
      await sleep(TOGETHER_MS);
      if (this.#waiting.length > seen) [seen, since] = [this.#waiting.length, Date.now()];
      else if (seen >= expected || Date.now() - since >= STILL_COMING_MS) return;
    }
  }
}

/** Does it with the parts that stand left out; where the host has others, once more with all of them. */
async function whole<Result>(change: Change, done: (change: Change) => Promise<Result>): Promise<Result> {
  try {
    return await done(change);
  } catch (error) {
    if (!(error instanceof HostError) || error.failure.code !== "stale") throw error;
    return done({ ...change, puts: [...change.puts, ...change.keeps], keeps: [] });
  }
}

const pool = new Map<string, PooledHost>();

/** The one object of this process for a host and the way to it. */
export function pooledHost(target: Target): PooledHost {
  const key = JSON.stringify(target);
  const known = pool.get(key);
  if (known) return known;
  const host = new PooledHost(target);
  pool.set(key, host);
  return host;
}

/** Closes every connection; for the end of the process. */
export function closePool(): void {
  for (const { remote } of pool.values()) remote.close();
  pool.clear();
  forgetAcceptedKeys();
}
