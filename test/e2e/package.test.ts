import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { type LabHost, startHost } from "../../tools/lab";
import { hostText, repository, Stack } from "./stack";

/** Runs a command to its end; the error of one that fails carries what it printed. */
async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const done = promisify(execFile)(command, args, { cwd, maxBuffer: 1 << 26 });
  const { stdout } = await done.catch((error: unknown) => {
    const { message, stdout: text = "" } = error as Error & { stdout?: string };
    throw new Error(`${message}\n${text}`);
  });
  return stdout;
}

/** Runs a command that may reach the registry: the lab itself has no way out. */
const runOutside = (command: string, args: readonly string[], cwd: string) =>
  run("nsenter", [`--net=${fromEnvironment("DRAWBRIDGE_LAB_OUTER_NET")}`, command, ...args], cwd);

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set; run the tests by npm test`);
  return value;
}

const versionOf = (folder: string) =>
  (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string }).version;
const sdk = versionOf(join(repository, "node_modules", "@pulumi", "pulumi"));
const readme = readFileSync(join(repository, "README.md"), "utf8");
const bin = (name: string) => join(repository, "node_modules", ".bin", name);
const write = (path: string, value: unknown) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof value === "string" ? value : `${JSON.stringify(value)}\n`);
};

const fence = (host: LabHost) =>
  `new LeakFence("inside", { ${hostText(host)}, uplink: "eth0", networks: ["rfc1918", "ula"] });\n`;
const commonJs = (host: LabHost) => `const { LeakFence } = require("pulumi-drawbridge");\n${fence(host)}`;

/** Real paths of the SDK that the program's module loads and of the one that our package loads. */
async function sdksOf(user: string): Promise<string[]> {
  const script = `
    const { createRequire } = require("node:module");
    const from = createRequire(${JSON.stringify(join(user, "x.js"))});
    const ours = createRequire(from.resolve("pulumi-drawbridge"));
    console.log([from, ours].map((r) => r.resolve("@pulumi/pulumi")).join("\\n"));`;
  return (await run(process.execPath, ["-e", script], user)).trim().split("\n");
}

let folder: string;
let tarball: string;
let host: LabHost;
let before: string;
const stacks: Stack[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "drawbridge-package-"));
  // dist has just been built; npm's own build would pull it from under tests that run beside this one.
  const [packed = ""] = (await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], repository))
    .trim()
    .split("\n")
    .slice(-1);
  tarball = join(folder, packed);
  host = await startHost();
  before = await host.fingerprint();
});
afterAll(async () => {
  for (const stack of stacks) stack.dispose();
  rmSync(folder, { recursive: true, force: true });
  await host.down();
});

async function start(install: (folder: string) => Promise<void> | void, node?: string): Promise<Stack> {
  const stack = await Stack.create("", { install, ...(node === undefined ? {} : { node }) });
  stacks.push(stack);
  return stack;
}

/** From nothing to nothing on the host, without drift between. */
async function fullCycle(stack: Stack): Promise<void> {
  expect(await stack.up()).toContain("+ 2 created");
  expect(await host.fingerprint()).not.toBe(before);
  const refresh = await stack.refresh();
  expect(refresh).toContain("2 unchanged");
  expect(await stack.destroy()).toContain("- 2 deleted");
  expect(await host.fingerprint()).toBe(before);
}

describe("the tarball", () => {
  test("holds the build with the host program, and no source, test or tool", async () => {
    const entries = (await run("tar", ["-tzvf", tarball], folder)).trim().split("\n");
    const names = entries.map(
      (line) =>
        line
          .split(" ")
          .at(-1)
          ?.replace(/^package\//, "") ?? "",
    );
    expect(names).toEqual(expect.arrayContaining(["package.json", "dist/index.js", "dist/index.d.ts", "dist/provider.js"]));
    expect(names.filter((name) => !/^(dist|docs)\/|^(package\.json|README\.md|LICENSE)$/.test(name))).toEqual([]);
    expect(names.filter((name) => name.startsWith("dist/") && !/\.(js|d\.ts)$/.test(name))).toEqual([
      "dist/host/drawbridge-host",
    ]);
    expect(entries.find((line) => line.endsWith("dist/host/drawbridge-host"))).toMatch(/^-rwxr-xr-x/);
    const program = await run("tar", ["-xzOf", tarball, "package/dist/host/drawbridge-host"], folder);
    expect(program).toMatch(/^#!\/bin\/sh\n/);
    expect(program).not.toMatch(/@VERSION@|@DIGEST@/);
  });

  test("is clean for publint and for are-the-types-wrong", async () => {
    expect(await run(bin("publint"), ["--strict", tarball], repository)).toContain("All good!");
    expect(await run(bin("attw"), [tarball], repository)).toContain("No problems found");
  });
});

describe("installed by npm", () => {
  let modules: string;

  beforeAll(async () => {
    const installed = join(folder, "npm");
    // What README says to install, with the SDK of this checkout.
    const words = [...readme.matchAll(/^npm install (?:--save-dev )?((?!@pulumi\/command)[^#\n]*)/gm)].flatMap(([, names = ""]) =>
      names.trim().split(" "),
    );
    const versionOrTarball: Readonly<Record<string, string>> = {
      "pulumi-drawbridge": `file:${tarball}`,
      "@pulumi/pulumi": `@pulumi/pulumi@${sdk}`,
    };
    write(join(installed, "package.json"), { private: true });
    const packages = words.map((word) => versionOrTarball[word] ?? word);
    await runOutside(
      "npm",
      ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", ...packages],
      installed,
    );
    modules = join(installed, "node_modules");
  });

  const withModules = (manifest: object) => (project: string) => {
    write(join(project, "package.json"), { name: "fences", private: true, ...manifest });
    symlinkSync(modules, join(project, "node_modules"));
  };

  test("README's program and Pulumi.yaml are a project that previews, with no host to ask", async () => {
    const block = (language: string) => new RegExp("```" + language + "\\n([^]*?)```").exec(readme)?.[1] ?? "";
    const stack = await start(withModules({ main: "index.ts" }));
    write(join(stack.folder, "Pulumi.yaml"), /^name: [^]*?(?=```)/m.exec(readme)?.[0] ?? "");
    rmSync(join(stack.folder, "index.js"));
    write(join(stack.folder, "index.ts"), block("ts"));
    expect(await stack.preview()).toMatch(/LeakFence: \(create\)[^]*deny rfc1918[^]*\+ 2 to create/);
  });

  test("there is one SDK", async () => {
    const [program, ours] = await sdksOf(dirname(modules));
    expect(ours).toBe(program);
    expect(existsSync(join(modules, "pulumi-drawbridge", "node_modules"))).toBe(false);
  });

  test("a CommonJS program goes through the full cycle", async () => {
    const stack = await start(withModules({}));
    write(join(stack.folder, "index.js"), commonJs(host));
    await fullCycle(stack);
  });

  test.each([
    ["20", process.execPath],
    ["22", fromEnvironment("DRAWBRIDGE_NODE22")],
  ])("an ES module goes through the full cycle on Node %s", async (major, node) => {
    expect(await run(node, ["--version"], folder)).toMatch(new RegExp(`^v${major}\\.`));
    const stack = await start(withModules({ type: "module", main: "index.mjs" }), node);
    write(join(stack.folder, "Pulumi.yaml"), "name: fences\nruntime: nodejs\n");
    write(join(stack.folder, "index.mjs"), `import { LeakFence } from "pulumi-drawbridge";\n${fence(host)}`);
    await fullCycle(stack);
  });
});

describe("installed by pnpm", () => {
  let stack: Stack;
  const main = (of: string) => write(join(stack.folder, "Pulumi.yaml"), `name: fences\nruntime: nodejs\nmain: ${of}/index.js\n`);

  beforeAll(async () => {
    const pnpm = await ensurePnpm();
    stack = await start(async (project) => {
      write(join(project, "package.json"), { name: "fences", private: true });
      write(
        join(project, "pnpm-workspace.yaml"),
        "packages: [direct, component, transitive]\nallowBuilds: { ssh2: false, cpu-features: false, protobufjs: false }\n",
      );
      const drawbridge = { "pulumi-drawbridge": `file:${tarball}` };
      const pulumi = { "@pulumi/pulumi": sdk };
      write(join(project, "direct", "package.json"), {
        name: "direct",
        private: true,
        dependencies: { ...pulumi, ...drawbridge },
      });
      write(join(project, "direct", "index.js"), commonJs(host));
      write(join(project, "component", "package.json"), {
        name: "component",
        private: true,
        dependencies: { ...pulumi, ...drawbridge },
      });
      write(
        join(project, "component", "index.js"),
        `const { LeakFence } = require("pulumi-drawbridge");\nexports.fence = () => ${fence(host)}`,
      );
      write(join(project, "transitive", "package.json"), {
        name: "transitive",
        private: true,
        dependencies: { ...pulumi, component: "workspace:*" },
      });
      write(join(project, "transitive", "index.js"), `require("component").fence();\n`);
      await runOutside(pnpm.program, ["install", "--prefer-offline", "--store-dir", pnpm.store], project);
    });
  });

  test("there is one SDK", async () => {
    const [program, ours] = await sdksOf(join(stack.folder, "direct"));
    expect(ours).toBe(program);
    expect((await sdksOf(join(stack.folder, "component")))[1]).toBe(program);
  });

  test("as a direct dependency, a program goes through the full cycle", async () => {
    main("direct");
    await fullCycle(stack);
  });

  test("as a dependency of a dependency only, a program goes through the full cycle", async () => {
    expect(existsSync(join(stack.folder, "transitive", "node_modules", "pulumi-drawbridge"))).toBe(false);
    main("transitive");
    await fullCycle(stack);
  });

  test("where the provider process could not find the package, the program says so and what to do", async () => {
    // What `hoist: false` leaves out.
    rmSync(join(stack.folder, "node_modules", ".pnpm", "node_modules", "pulumi-drawbridge"));
    main("transitive");
    const { code, text } = await stack.run(["up", "--yes", "--skip-preview"]);
    expect(code).not.toBe(0);
    expect(text).toContain("pulumi-drawbridge/provider is not found from ");
    expect(text).toContain("(npm install pulumi-drawbridge)");
    expect(text).not.toContain("Cannot find module");
    expect(await host.fingerprint()).toBe(before);
  });
});

/** pnpm of the registry, installed once into the cache, and a store beside it. */
async function ensurePnpm(): Promise<{ program: string; store: string }> {
  const find = `import("./tools/cache.mjs").then(({ cached }) => console.log(cached("pnpm-12")))`;
  const cache = (await run(process.execPath, ["-e", find], repository)).trim();
  const program = join(cache, "node_modules", ".bin", "pnpm");
  if (!existsSync(program)) {
    mkdirSync(cache, { recursive: true });
    await runOutside("npm", ["install", "--no-save", "--no-package-lock", "--prefix", cache, "pnpm@12"], cache);
  }
  return { program, store: join(cache, "store") };
}
