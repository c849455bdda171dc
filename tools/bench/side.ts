import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { leakFence } from "../../src/providers/leak-fence";
import { hostText, repository, Stack } from "../../test/e2e/stack";
import type { LabHost } from "../lab";
import { timed } from "./figure";
import { installPeers } from "./peers";

/** What a program declares: `rules` networks per fence, `count` fences on each host. */
export interface Size {
  readonly hosts: readonly LabHost[];
  readonly count: number;
  readonly networks?: readonly string[];
}

/** Our provider, one that does nothing, one that does nothing with as much in the state as ours, and one that a user would write. */
export type Who = "ours" | "nothing" | "as much state" | "naive";

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
  destroy = (...more: string[]) => this.time("destroy", "--yes", "--skip-preview", ...more);

  /** How many lines `pulumi preview --diff` has for the creation of the first resource, and how many of them lead to its host. */
  async linesOfCreation(): Promise<{ readonly all: number; readonly toHost: number }> {
    const lines = (await this.stack.preview()).split("\n");
    const begin = lines.findIndex((line) => /^ *\+ pulumi-nodejs:dynamic\S*: \(create\)/.test(line));
    const indent = (line: string) => /^ */.exec(line)?.[0].length ?? 0;
    const length = lines.slice(begin + 1).findIndex((line) => indent(line) <= indent(lines[begin] ?? ""));
    const own = lines.slice(begin, begin + 1 + length);
    const toHost = own.findIndex((line) => /^ *\+? *connection *: /.test(line));
    const ends = own.slice(toHost + 1).findIndex((line) => /^ *\+? *\}/.test(line));
    const beside = own.filter((line) => /^ *\+? *(become|privateKeyPath) *: /.test(line)).length;
    return { all: own.length, toHost: ends + 2 + beside };
  }

  /** The bytes of the largest resource as it lies in the state, with its secrets encrypted. */
  async largest(): Promise<number> {
    const { deployment } = exported.parse(JSON.parse(await this.stack.expect("stack", "export")));
    return Math.max(...deployment.resources.map((one) => Buffer.byteLength(JSON.stringify(one))));
  }
}

const exported = z.object({ deployment: z.object({ resources: z.array(z.unknown()) }) });

function install(folder: string): void {
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(repository, join(folder, "node_modules", "pulumi-drawbridge"));
  installPeers(folder);
}

const IMPORTS: Readonly<Record<Who, string>> = {
  ours: `{ LeakFence: Fence } = require("pulumi-drawbridge")`,
  nothing: `{ Fence } = require("nothing")`,
  "as much state": `{ Fence } = require("nothing")`,
  naive: `{ Fence } = require("naive")`,
};

function programOf(is: Who, { hosts, count, networks = ["rfc1918", "ula"] }: Size): string {
  const intent = { uplink: "eth0", networks };
  const rules = is === "as much state" ? leakFence.rules("fence", leakFence.schema.parse(intent)) : undefined;
  const args = JSON.stringify({ ...intent, rules });
  return `const ${IMPORTS[is]};
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
