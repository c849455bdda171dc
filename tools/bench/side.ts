import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leakFence } from "../../src/providers/leak-fence";
import { hostText, repository, Stack } from "../../test/e2e/stack";
import type { LabHost } from "../lab";
import { timed } from "./figure";

/** What a program declares: `rules` networks per fence, `count` fences on each host. */
export interface Size {
  readonly hosts: readonly LabHost[];
  readonly count: number;
  readonly networks?: readonly string[];
}

// The same way as ours: a constant __provider that asks a package.
const NOTHING_CLASS = `const pulumi = require("@pulumi/pulumi");
exports.Nothing = class extends pulumi.CustomResource {
  constructor(name, { connection, ...own }) {
    super("pulumi-nodejs:dynamic/bench:Nothing", name, {
      ...own,
      connection: pulumi.secret(connection),
      __origin: { project: pulumi.getProject(), stack: pulumi.getStack(), name },
      __provider: 'exports.handler=()=>require("nothing/provider").provider',
    }, { additionalSecretOutputs: ["connection"] });
  }
};
`;
const NOTHING_PROVIDER = `let number = 0;
exports.provider = {
  check: (_olds, news) => Promise.resolve({ inputs: news }),
  diff: () => Promise.resolve({}),
  create: (inputs) => Promise.resolve({ id: String(++number), outs: inputs }),
  read: (id, props) => Promise.resolve({ id, props }),
  update: (_id, _olds, news) => Promise.resolve({ outs: news }),
  delete: () => Promise.resolve(),
};
`;

/** Our provider, one that does nothing, and one that does nothing with as much in the state as ours. */
export type Who = "ours" | "nothing" | "as much state";

/** One of the stacks that are compared: the same inputs, for different providers. */
export class Side {
  private constructor(
    readonly is: Who,
    readonly stack: Stack,
  ) {}

  static async create(is: Who, size: Size): Promise<Side> {
    const stack = await Stack.create("", { install });
    writeFileSync(join(stack.folder, "index.js"), programOf(is, size));
    return new Side(is, stack);
  }

  /** How long the CLI takes; an error when it fails. */
  async time(...args: string[]): Promise<number> {
    return timed(() => this.stack.expect(...args));
  }

  up = (...more: string[]) => this.time("up", "--yes", "--skip-preview", ...more);
  refresh = (...more: string[]) => this.time("refresh", "--yes", "--skip-preview", ...more);
}

function install(folder: string): void {
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "nothing"), { recursive: true });
  symlinkSync(repository, join(modules, "pulumi-drawbridge"));
  symlinkSync(join(repository, "node_modules", "@pulumi"), join(modules, "@pulumi"));
  writeFileSync(join(modules, "nothing", "index.js"), NOTHING_CLASS);
  writeFileSync(join(modules, "nothing", "provider.js"), NOTHING_PROVIDER);
}

function programOf(is: Who, { hosts, count, networks = ["rfc1918", "ula"] }: Size): string {
  const imported =
    is === "ours" ? `{ LeakFence: Fence } = require("pulumi-drawbridge")` : `{ Nothing: Fence } = require("nothing")`;
  const intent = { uplink: "eth0", networks };
  const rules = is === "as much state" ? leakFence.rules("fence", leakFence.schema.parse(intent)) : undefined;
  const args = JSON.stringify({ ...intent, rules });
  return `const ${imported};
const hosts = [${hosts.map((host) => `{ ${hostText(host)} }`).join(", ")}];
hosts.forEach((host, h) => {
  for (let i = 0; i < ${count}; i++) new Fence(\`fence-\${h}-\${i}\`, { ...host, ...${args} });
});
`;
}

/** The most memory that the process of a dynamic provider had while the work was done, in MB, as /proc tells it. */
export async function peakOfProvider(work: () => Promise<unknown>): Promise<number> {
  let peak = 0;
  const look = () => {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (!read(`/proc/${pid}/cmdline`).includes("dynamic-provider")) continue;
      const [, kilobytes = "0"] = /^VmHWM:\s*(\d+) kB$/m.exec(read(`/proc/${pid}/status`)) ?? [];
      peak = Math.max(peak, Number(kilobytes) / 1024);
    }
  };
  const timer = setInterval(look, 200);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  if (peak === 0) throw new Error("no process of a dynamic provider was seen");
  return peak;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // The process has ended.
  }
}
