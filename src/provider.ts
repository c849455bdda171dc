import { subscribe } from "node:diagnostics_channel";
import type * as pulumi from "@pulumi/pulumi";
import { closePool } from "./host/pool";
import { lifecycleOf } from "./providers/lifecycle";
import { kinds } from "./providers/registry";

const lifecycles = new Map<string, pulumi.dynamic.ResourceProvider>();

/**
 * What the constant `__provider` string in every state asks for. This function, the sub-path `pulumi-drawbridge/provider` and
 * the kinds' names are a wire format: states of every past version call it.
 */
export function forKind(kind: string): pulumi.dynamic.ResourceProvider {
  const known = lifecycles.get(kind);
  if (known) return known;
  const spec = kinds.get(kind);
  if (!spec)
    throw new Error(
      `this version of pulumi-drawbridge knows no kind ${JSON.stringify(kind)}; upgrade it: npm install pulumi-drawbridge@latest`,
    );
  watchProcess();
  const lifecycle = lifecycleOf(spec);
  lifecycles.set(kind, lifecycle);
  return lifecycle;
}

let watching = false;

/** The process serves one engine run: it ends with its engine, and closes its connections when it is told to stop. */
function watchProcess(): void {
  if (watching || !/dynamic-provider/.test(process.argv[1] ?? "")) return;
  watching = true;
  const end = () => {
    closePool();
    process.exit(0);
  };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  // An engine that was killed leaves its providers behind; their stdin ends with it.
  process.stdin.once("end", end);
  process.stdin.resume();
  // The first Ctrl-C reaches a provider as a Cancel call only, which the SDK ignores. Node 22 and later let us see it; Node 20
  // does not, and the operation runs to its end.
  subscribe("http2.server.stream.start", (message) => {
    if (isCancel(message)) closePool();
  });
}

function isCancel(message: unknown): boolean {
  return JSON.stringify((message as { headers?: unknown } | undefined)?.headers ?? {}).includes(
    "/pulumirpc.ResourceProvider/Cancel",
  );
}
