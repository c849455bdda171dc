import * as pulumi from "@pulumi/pulumi";
import { shim } from "./shim";

/** What every resource of this package has. */
export abstract class HostResource extends pulumi.CustomResource {
  /** Rule id to the line that stands on the host. After `pulumi refresh` it shows what somebody changed. */
  declare readonly rules: pulumi.Output<Record<string, string>>;
  /** Random id of the machine that the resource stands on. */
  declare readonly machineId: pulumi.Output<string>;

  /** @internal */
  protected constructor(kind: string, name: string, args: object, opts: pulumi.CustomResourceOptions = {}) {
    const type = `pulumi-nodejs:dynamic/drawbridge:${kind}`;
    const { connection, ...own } = args as { connection?: unknown };
    const secrets = placesOfSecrets(own);
    const props = {
      ...own,
      connection: withSecretLeaves(connection),
      // The program's lines are made of the arguments, so that they are a secret where one of those is: the engine lets an output be as
      // secret as the input of its name. Check fills it in.
      rules: secrets.then(({ length }) => (length > 0 ? pulumi.secret({}) : undefined)),
      // What errors and warnings must not quote: the provider is given all values in clear.
      __secretArguments: secrets.then((places) => (places.length > 0 ? places : undefined)),
      // Outputs must be named here, or they would be missing on the resource.
      machineId: undefined,
      applied: undefined,
      pinnedHostKey: undefined,
      __origin: { project: pulumi.getProject(), stack: pulumi.getStack(), name },
      // A promise, not an output: an output would depend on the parent, and so on this very resource.
      __urn: new Promise<string>((resolve) => pulumi.createUrn(name, type, opts.parent).apply(resolve)),
      __preview: pulumi.runtime.isDryRun(),
      __groups: groupsOfProgram(),
      __provider: shim(kind),
    };
    // Both hold lines of the host, or what tells of them.
    super(type, name, props, pulumi.mergeOptions(opts, { additionalSecretOutputs: ["applied", "__drift"] }));
  }
}

/** Where in a value secrets stand: `["commands", "0", "args", "1"]`. */
async function placesOfSecrets(value: unknown, place: readonly string[] = []): Promise<(readonly string[])[]> {
  if (pulumi.Output.isInstance(value) || value instanceof Promise)
    return (await pulumi.isSecret(pulumi.output(value))) ? [place] : [];
  if (typeof value !== "object" || value === null) return [];
  const found = Object.entries(value).map(([key, inner]) => placesOfSecrets(inner, [...place, key]));
  return (await Promise.all(found)).flat();
}

const groups: { readonly host: string; readonly name: string }[] = [];

/**
 * Remembers a group that the program makes, so that a preview that asks the hosts does not take it for missing where a resource names it by
 * its literal name. A name that comes from another resource is known too late to be waited for here, and makes the engine wait anyway.
 */
export function declareGroup({ connection, name }: { readonly connection: unknown; readonly name: unknown }): void {
  const host = typeof connection === "object" && connection !== null && "host" in connection ? connection.host : undefined;
  if (typeof host === "string" && typeof name === "string") groups.push({ host, name });
}

/** Those that the program has declared by the end of its present step: the engine asks about its first resource before it has seen the last. */
const groupsOfProgram = () =>
  new Promise<typeof groups | undefined>((resolve) => setImmediate(() => resolve(groups.length > 0 ? groups : undefined)));

/** What of a connection is a secret by itself, the jump host's likewise; host, port and user show in diffs. */
const SECRETS = ["password", "privateKey", "privateKeyPassword"];

function withSecretLeaves(connection: unknown): unknown {
  // Of what only comes to be, nobody knows yet whether a secret is in it.
  if (pulumi.Output.isInstance(connection) || connection instanceof Promise) return pulumi.secret(connection);
  if (typeof connection !== "object" || connection === null) return connection;
  return Object.fromEntries(
    Object.entries(connection).map(([key, value]: [string, unknown]) => {
      if (key === "proxy") return [key, withSecretLeaves(value)];
      return [key, SECRETS.includes(key) && value !== undefined ? pulumi.secret(value) : value];
    }),
  );
}
