import type * as pulumi from "@pulumi/pulumi";
import { createRequire } from "node:module";
import { printable } from "../core/values/printable";
import { withoutSecrets } from "./secrets";
import { type Props, stableJson } from "./wire";

/**
 * Only where an engine listens, which has loaded it: everybody else would wait half a second for it. At once, since what is said a
 * moment after an operation has ended may come too late for the engine.
 */
const sdk = () => createRequire(__filename)("@pulumi/pulumi") as typeof pulumi;

/** A line on the resource's own row while it is worked on (`status`), or under it for good (`note`, `warning`). */
export interface Reporter {
  readonly status: (text: string) => void;
  readonly note: (text: string) => void;
  readonly warning: (text: string) => void;
}

/** What the engine has not taken yet. */
const sending = new Set<Promise<void>>();
const TAKEN_AFTER_MS = 5_000;

/**
 * Waits until the engine has taken what was said. It ends this process as soon as its last operation is over; what is still on its way
 * then would be lost, and the SDK would complain of "promises that were still active".
 */
export async function allSaid(): Promise<void> {
  await Promise.race([Promise.all(sending), new Promise((resolve) => setTimeout(resolve, TAKEN_AFTER_MS).unref())]);
}

/** Tells the engine about a resource. Without a URN (older states, other runtimes) it says nothing rather than something false. */
export function reporterFor(urn: unknown): Reporter {
  const send = (severity: "info" | "warn", text: string, ephemeral: boolean) => {
    if (typeof urn !== "string" || !urn.startsWith("urn:pulumi:")) return;
    // The engine's address is this process's last argument; the SDK's log only looks into the environment.
    const engine = process.argv.at(-1);
    if (engine !== undefined && /^[\w.[\]:]+:\d+$/.test(engine)) process.env["PULUMI_NODEJS_ENGINE"] ??= engine;
    if (process.env["PULUMI_NODEJS_ENGINE"] === undefined) return;
    // log() asks a resource for its URN only.
    const resource = { urn: { promise: () => Promise.resolve(urn) } } as unknown as pulumi.Resource;
    const sent = sdk()
      .log[severity](withoutSecrets(printable(text)), resource, undefined, ephemeral)
      .catch(() => undefined)
      .finally(() => sending.delete(sent));
    sending.add(sent);
  };
  return {
    status: (text) => send("info", text, true),
    note: (text) => send("info", text, false),
    warning: (text) => send("warn", text, false),
  };
}

// The engine tells create nothing of the URN. check, which gets it from the class, remembers it by what else it was given.
const urns = new Map<string, string>();

export function rememberUrn(kind: string, inputs: Props, urn: unknown): void {
  if (typeof urn === "string") urns.set(keyOf(kind, inputs), urn);
}

export function recalledUrn(kind: string, inputs: Props): string | undefined {
  return urns.get(keyOf(kind, inputs));
}

function keyOf(kind: string, inputs: Props): string {
  return stableJson([kind, inputs["__origin"], inputs["connection"]]);
}
