import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { clientKeyPath, type LabHost } from "../../tools/lab";

export const repository = join(__dirname, "..", "..");

export interface CliResult {
  readonly code: number;
  /** stdout and stderr in the order they came, without colours. */
  readonly text: string;
}

/** A resource as `pulumi stack export` shows it. */
export interface StoredResource {
  readonly urn: string;
  readonly id?: string;
  readonly type: string;
  readonly inputs: Record<string, unknown>;
  readonly outputs: Record<string, unknown>;
}

export interface StackOptions {
  /** Shared with another stack: its backend folder. */
  readonly backend?: string;
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Node to run program and provider; this process's own unless given. */
  readonly node?: string;
  /** Makes node_modules; a link to this checkout unless given. */
  readonly install?: (folder: string) => Promise<void> | void;
}

interface RunOptions {
  readonly env?: Record<string, string>;
  readonly onText?: (text: string, pid: number) => void;
}

/** A Pulumi project in a folder of its own, driven by the real CLI with a local backend. */
export class Stack {
  readonly folder = mkdtempSync(join(tmpdir(), "drawbridge-e2e-"));
  readonly backend: string;
  readonly #env: Record<string, string>;
  readonly #name: string;

  private constructor(options: StackOptions) {
    this.backend = options.backend ?? join(this.folder, "backend");
    this.#name = options.name ?? "dev";
    const bin = process.env["DRAWBRIDGE_PULUMI_BIN"];
    if (bin === undefined) throw new Error("DRAWBRIDGE_PULUMI_BIN is not set; run the tests by npm test");
    mkdirSync(this.backend, { recursive: true });
    this.#env = {
      PATH: [bin, dirname(options.node ?? process.execPath), process.env["PATH"]].join(delimiter),
      HOME: process.env["HOME"] ?? "/root",
      PULUMI_HOME: join(this.folder, "home"),
      PULUMI_BACKEND_URL: `file://${this.backend}`,
      PULUMI_CONFIG_PASSPHRASE: "",
      PULUMI_SKIP_UPDATE_CHECK: "1",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "1",
      NO_COLOR: "1",
      ...options.env,
    };
  }

  /** Makes project and stack. `program` is the text of index.js; `drawbridge` and `pulumi` are there for it. */
  static async create(program: string, options: StackOptions = {}): Promise<Stack> {
    const stack = new Stack(options);
    writeFileSync(
      join(stack.folder, "Pulumi.yaml"),
      "name: fences\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.js\n",
    );
    writeFileSync(join(stack.folder, "package.json"), `{"name":"fences","private":true}\n`);
    await (options.install ?? linkCheckout)(stack.folder);
    stack.program(program);
    await stack.expect("stack", "init", stack.#name);
    return stack;
  }

  program(text: string): void {
    const head = `const pulumi = require("@pulumi/pulumi");\nconst drawbridge = require("pulumi-drawbridge");\n`;
    writeFileSync(join(this.folder, "index.js"), head + text);
  }

  /** Runs the CLI; nothing waits for a terminal. */
  run(args: readonly string[], options: RunOptions = {}): Promise<CliResult> {
    return this.#start("pulumi", [...args, "--non-interactive"], options);
  }

  /** Runs our own command beside the program. */
  drawbridge(...args: string[]): Promise<CliResult> {
    return this.#start(process.execPath, [join(repository, "dist", "cli", "drawbridge.js"), ...args], {});
  }

  #start(command: string, args: readonly string[], options: RunOptions): Promise<CliResult> {
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, {
        cwd: this.folder,
        env: { ...this.#env, ...options.env },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      let text = "";
      const collect = (chunk: Buffer) => {
        text += chunk.toString("utf8");
        if (child.pid !== undefined) options.onText?.(text, child.pid);
      };
      child.stdout.on("data", collect);
      child.stderr.on("data", collect);
      child.on("error", reject);
      child.on("close", (code) => resolve({ code: code ?? -1, text }));
    });
  }

  /** Runs the CLI and wants success. */
  async expect(...args: string[]): Promise<string> {
    const { code, text } = await this.run(args);
    if (code !== 0) throw new Error(`pulumi ${args.join(" ")} ended with ${code}:\n${text}`);
    return text;
  }

  preview = (...more: string[]) => this.expect("preview", "--diff", ...more);
  up = (...more: string[]) => this.expect("up", "--yes", "--skip-preview", "--diff", ...more);
  refresh = (...more: string[]) => this.expect("refresh", "--yes", "--skip-preview", "--diff", ...more);
  destroy = (...more: string[]) => this.expect("destroy", "--yes", "--skip-preview", ...more);

  async resources(): Promise<StoredResource[]> {
    // A secret stands there as an object that holds it as JSON.
    const plain = (_key: string, value: unknown) =>
      typeof value === "object" && value !== null && "plaintext" in value
        ? (JSON.parse(String(value.plaintext)) as unknown)
        : value;
    const state: unknown = JSON.parse(await this.expect("stack", "export", "--show-secrets"), plain);
    const { deployment } = state as { deployment: { resources?: StoredResource[] } };
    return (deployment.resources ?? []).filter(({ type }) => type.startsWith("pulumi-nodejs:dynamic/drawbridge:"));
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function linkCheckout(folder: string): void {
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(repository, join(folder, "node_modules", "pulumi-drawbridge"));
  symlinkSync(join(repository, "node_modules", "@pulumi"), join(folder, "node_modules", "@pulumi"));
  chmodSync(folder, 0o755);
}

/** The text of `...host` for a lab host, as a user would write it. */
export function hostText(host: LabHost, user = "deploy"): string {
  const connection = JSON.stringify({ host: host.address, user, hostKey: host.hostKey });
  return `...{ connection: ${connection}, become: ${user !== "root"}, privateKeyPath: ${JSON.stringify(clientKeyPath)} }`;
}
