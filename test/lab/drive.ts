import type * as pulumi from "@pulumi/pulumi";
import { forKind } from "../../dist/provider";
import { confirmedOf } from "../../dist/providers/stored";
import { closePool } from "../../dist/host/pool";
import { clientKeyPath, type LabHost } from "../../tools/lab";

export type Props = Record<string, unknown>;
export type Rules = Record<string, string>;

/** For a copy of this module that a test loaded apart; jest.config.js sees to the first. */
export const closeConnections = closePool;

/** `...host` for a lab host. */
export function accessOf(host: Pick<LabHost, "address" | "hostKey">, user = "deploy"): Props {
  return {
    connection: { host: host.address, user, hostKey: host.hostKey },
    become: user !== "root",
    privateKeyPath: clientKeyPath,
  };
}

/** The four callbacks of a kind's provider, as the engine calls them, and no more. */
function providerOf(kind: string) {
  const { check, diff, create, read, update, delete: remove } = forKind(kind);
  if (!check || !diff || !read || !update || !remove) throw new Error(`${kind} lacks a method`);
  return { check, diff, create, read, update, remove };
}

export interface CheckFailed {
  readonly property: string;
  readonly reason: string;
}

/** What check makes of a program's arguments: inputs, or failures. */
export async function check(
  kind: string,
  name: string,
  args: Props,
  origin: Props = {},
): Promise<{ inputs: Props; failures: readonly CheckFailed[] }> {
  const result = await providerOf(kind).check({}, { ...args, __origin: { project: "tests", stack: "lab", name, ...origin } });
  return { inputs: result.inputs as Props, failures: result.failures ?? [] };
}

/** What an engine keeps of a resource. */
export interface Stored {
  readonly kind: string;
  readonly name: string;
  readonly id: string;
  readonly inputs: Props;
  readonly outputs: Props;
}

/** A resource driven through its lifecycle without the CLI; keeps the state that the engine would keep. */
export class Driven {
  private constructor(
    readonly kind: string,
    readonly name: string,
    readonly id: string,
    public inputs: Props,
    public outputs: Props,
  ) {}

  static async create(kind: string, name: string, args: Props, origin: Props = {}): Promise<Driven> {
    const inputs = await checked(kind, name, args, origin);
    const created = (await providerOf(kind).create(inputs)) as { id: string; outs: Props };
    return new Driven(kind, name, created.id, inputs, created.outs);
  }

  /** One that an earlier run has made. */
  static from({ kind, name, id, inputs, outputs }: Stored): Driven {
    return new Driven(kind, name, id, inputs, outputs);
  }

  stored(): Stored {
    const { kind, name, id, inputs, outputs } = this;
    return { kind, name, id, inputs, outputs };
  }

  /** Check, diff, and update where diff wants it; true when it did. */
  async up(args: Props, origin: Props = {}): Promise<boolean> {
    const next = await checked(this.kind, this.name, args, origin);
    const { changes } = await providerOf(this.kind).diff(this.id, this.outputs, next);
    if (changes === false) return false;
    const updated = (await providerOf(this.kind).update(this.id, this.outputs, next)) as { outs: Props };
    this.inputs = next;
    this.outputs = updated.outs;
    return true;
  }

  /** As `pulumi refresh`: the state becomes what was read. "gone", or what differs from what check made of the program. */
  async refresh(): Promise<"gone" | Record<string, { wanted: string | undefined; found: string | undefined }>> {
    const wanted = confirmedOf(this.outputs)?.rules ?? {};
    const result = await providerOf(this.kind).read(this.id, this.outputs);
    if (result.id === undefined || result.id === "") return "gone";
    this.outputs = result.props as Props;
    // As the engine does: where none are given, it keeps those that it has.
    this.inputs = (result.inputs as Props | undefined) ?? this.inputs;
    const found = this.outputs["rules"] as Rules;
    const ids = [...new Set([...Object.keys(wanted), ...Object.keys(found)])].filter((id) => wanted[id] !== found[id]);
    return Object.fromEntries(ids.map((id) => [id, { wanted: wanted[id], found: found[id] }]));
  }

  async diff(news: Props): Promise<pulumi.dynamic.DiffResult> {
    return providerOf(this.kind).diff(this.id, this.outputs, news);
  }

  async delete(): Promise<void> {
    await providerOf(this.kind).remove(this.id, this.outputs);
  }
}

async function checked(kind: string, name: string, args: Props, origin: Props): Promise<Props> {
  const { inputs, failures } = await check(kind, name, args, origin);
  if (failures.length > 0) throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("\n"));
  return inputs;
}
