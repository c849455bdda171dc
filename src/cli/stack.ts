import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { z } from "zod";
import { origin, type Origin } from "../core/values/names";
import { kinds } from "../providers/registry";
import { readStored, type Stored } from "../providers/stored";
import type { AnyKind } from "../providers/spec";
import { hasUnknown, pick, type Props } from "../providers/wire";

/** One of our resources, as its state has it. */
export interface Deployed {
  readonly spec: AnyKind;
  readonly stored: Stored;
}

/** One of our resources, as the program has it; without an intent where that is not known before other resources exist, or holds a secret. */
export interface Declared {
  readonly spec: AnyKind;
  readonly origin: Origin;
  readonly intent: Props | "unknown" | "secret";
}

/** Where `pulumi` looks for the program, and which of its stacks is meant. */
export interface Where {
  readonly cwd?: string;
  readonly stack?: string;
}

const TYPE = /^pulumi-nodejs:dynamic\/drawbridge:(\w+)$/;
const resource = z.object({
  type: z.string(),
  inputs: z.record(z.string(), z.unknown()).default({}),
  outputs: z.record(z.string(), z.unknown()).default({}),
});
const exported = z.object({ deployment: z.object({ resources: z.array(resource).default([]) }) });
const previewed = z.object({ steps: z.array(z.object({ op: z.string(), newState: resource.optional() })).default([]) });

/** What the stack's last update has made, sorted by kind and name. */
export async function deployedResources(where: Where): Promise<Deployed[]> {
  const text = await pulumi(["stack", "export", "--show-secrets"], where);
  const { deployment } = readJson(exported, text);
  const resources = deployment.resources.flatMap(({ type, inputs, outputs }): Deployed[] => {
    const spec = specOf(type);
    return spec === undefined ? [] : [{ spec, stored: readStored(spec, unwrapped({ ...inputs, ...outputs })) }];
  });
  return sortedBy(resources, ({ spec, stored }) => `${spec.kind} ${stored.origin.name}`);
}

/** What the program says now, sorted by kind and name; no host is asked. */
export async function programResources(where: Where): Promise<Declared[]> {
  // Without --show-sames, resources that already stand as the program wants them would be left out.
  const text = await pulumi(["preview", "--json", "--show-sames", "--refresh=false"], where);
  const { steps } = readJson(previewed, text);
  const resources = steps.flatMap(({ op, newState }): Declared[] => {
    const spec = specOf(newState?.type ?? "");
    if (newState === undefined || spec === undefined || op === "delete") return [];
    const props = unwrapped(newState.inputs);
    const own = pick(props, Object.keys(spec.schema.shape));
    const untold = hasSecret(own) ? "secret" : hasUnknown(own) ? "unknown" : undefined;
    return [{ spec, origin: origin.parse(props["__origin"]), intent: untold ?? spec.schema.parse(own) }];
  });
  return sortedBy(resources, ({ spec, origin: { name } }) => `${spec.kind} ${name}`);
}

/** In the order of the keys, numbers in them by their value. */
export function sortedBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[] {
  const order = new Intl.Collator("en", { numeric: true });
  return items.toSorted((a, b) => order.compare(keyOf(a), keyOf(b)));
}

const specOf = (type: string) => kinds.get(TYPE.exec(type)?.[1] ?? "");

const SECRET = z.object({ "4dabf18193072939515e22adb298388d": z.string(), plaintext: z.string() });

/** Pulumi's JSON wraps what is secret; `plaintext` holds it as JSON. */
function unwrapped(value: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value), (_key, inner: unknown) => {
    const secret = SECRET.safeParse(inner);
    return secret.success ? (JSON.parse(secret.data.plaintext) as unknown) : inner;
  }) as Record<string, unknown>;
}

/** What stands for a secret in the JSON of a preview. */
const MASKED = "[secret]";

function hasSecret(value: unknown): boolean {
  if (value === MASKED) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(hasSecret);
}

/** Of a failing preview; the rest of its JSON holds all arguments of all resources. */
const failed = z.object({ diagnostics: z.array(z.object({ severity: z.string(), message: z.string() })).default([]) });

/** JSON of the shape. @throws Error that shows nothing of the text, which may hold secrets */
function readJson<Shape extends z.ZodType>(shape: Shape, text: string): z.output<Shape> {
  const parsed = shape.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new Error(
    `pulumi has printed JSON of another shape: ${parsed.error.issues.map(({ path }) => path.join(".")).join(", ")}`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** @throws Error with what pulumi said on stderr, and with the errors that its JSON names */
async function pulumi(args: readonly string[], { cwd, stack }: Where): Promise<string> {
  const all = [
    ...args,
    "--non-interactive",
    ...(cwd === undefined ? [] : ["--cwd", cwd]),
    ...(stack === undefined ? [] : ["--stack", stack]),
  ];
  const done = promisify(execFile)("pulumi", all, { maxBuffer: 1 << 28 });
  const { stdout } = await done.catch((error: unknown) => {
    const { stderr, stdout: said, code } = execFailure.parse(error);
    const { diagnostics } = failed.catch({ diagnostics: [] }).parse(jsonOf(said));
    const errors = diagnostics.filter(({ severity }) => severity === "error").map(({ message }) => message.trim());
    const text = [stderr.trim(), ...errors].filter((part) => part !== "").join("\n");
    throw new Error(`pulumi ${args.join(" ")} failed:\n${text || `it ended with ${code}`}`);
  });
  return stdout;
}

/** What execFile rejects with; its message repeats all that the command has printed. */
const execFailure = z.object({
  stderr: z.string().default(""),
  stdout: z.string().default(""),
  code: z.union([z.string(), z.number()]).nullish(),
});
