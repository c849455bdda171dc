import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import * as drawbridge from "../../src";
import { kinds } from "../../src/providers/registry";

// Frozen: every state of every user holds them, and destroy evaluates them with today's package. What stands here may be added
// to, never changed.
const frozenKinds = [
  "AddressSet",
  "Allow",
  "Bridge",
  "BridgePort",
  "DefaultDrop",
  "Deny",
  "GuardedFile",
  "IpsecPolicyDrop",
  "LeakFence",
  "OutputGuard",
  "SudoRule",
  "SystemGroup",
  "UserOutputChain",
];
const typeOf = (kind: string) => `pulumi-nodejs:dynamic/drawbridge:${kind}`;
const providerOf = (kind: string) =>
  `exports.handler=()=>{let r=require,s="pulumi-drawbridge/provider";try{r.resolve(s)}catch{r=r.main.require.bind(r.main)}return r(s).forKind("${kind}")}`;

const repository = join(__dirname, "..", "..");

interface Seen {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}

const connection = { host: "203.0.113.7", user: "deploy", password: "hush" };
const make: Record<string, (name: string, opts?: pulumi.CustomResourceOptions) => pulumi.CustomResource> = {
  AddressSet: (name, opts) => new drawbridge.AddressSet(name, { connection, name: "office", addresses: ["192.0.2.1"] }, opts),
  Allow: (name, opts) => new drawbridge.Allow(name, { connection, hook: "input", service: "https" }, opts),
  Bridge: (name, opts) => new drawbridge.Bridge(name, { connection, name: "br0" }, opts),
  BridgePort: (name, opts) => new drawbridge.BridgePort(name, { connection, bridge: "br0", interface: "tap0" }, opts),
  DefaultDrop: (name, opts) => new drawbridge.DefaultDrop(name, { connection, hook: "forward" }, opts),
  Deny: (name, opts) => new drawbridge.Deny(name, { connection, hook: "input", from: ["192.0.2.66"] }, opts),
  GuardedFile: (name, opts) =>
    new drawbridge.GuardedFile(name, { connection, path: "/usr/bin/remote-viewer", mode: "0750" }, opts),
  IpsecPolicyDrop: (name, opts) => new drawbridge.IpsecPolicyDrop(name, { connection, networks: ["10.77.0.0/16"] }, opts),
  LeakFence: (name, opts) => new drawbridge.LeakFence(name, { connection, uplink: "eth0", networks: ["rfc1918"] }, opts),
  OutputGuard: (name, opts) => new drawbridge.OutputGuard(name, { connection, ports: [20002] }, opts),
  SudoRule: (name, opts) =>
    new drawbridge.SudoRule(name, { connection, users: ["myself"], commands: [{ path: "/usr/bin/id" }] }, opts),
  SystemGroup: (name, opts) => new drawbridge.SystemGroup(name, { connection, name: "spicegrp" }, opts),
  UserOutputChain: (name, opts) =>
    new drawbridge.UserOutputChain(name, { connection, user: "myself", allow: [{ to: "192.0.2.2", ports: [20002] }] }, opts),
};

/** What the engine is sent while `construct` runs. */
async function registered(construct: () => pulumi.Resource): Promise<Seen> {
  const seen: Seen[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        seen.push({ type, name, inputs: inputs as Record<string, unknown> });
        return { id: `${name}-id`, state: inputs as Record<string, unknown> };
      },
      call: () => ({}),
    },
    "shop",
    "live",
  );
  const { urn } = construct();
  await new Promise<void>((resolve) => urn.apply(() => resolve()));
  const last = seen.at(-1);
  if (!last) throw new Error("nothing was registered");
  return last;
}

test("the kinds are the frozen ones, and each has a class", () => {
  expect([...kinds.keys()]).toEqual(frozenKinds);
  expect(Object.keys(make)).toEqual(frozenKinds);
  expect(Object.keys(drawbridge)).toEqual(frozenKinds);
});

test("an AddressSet among the arguments is sent by its name", async () => {
  const { inputs } = await registered(() => {
    const office = new drawbridge.AddressSet("office", { connection, name: "office" });
    return new drawbridge.Allow("one", { connection, hook: "input", service: "https", from: office, to: ["192.0.2.1"] });
  });
  expect([inputs["from"], inputs["to"]]).toEqual([{ set: "office" }, ["192.0.2.1"]]);
});

describe.each(frozenKinds)("%s", (kind) => {
  const construct = make[kind];
  if (!construct) throw new Error(`no ${kind}`);

  test("sends the frozen type token and the frozen text of the provider, in at most 200 bytes", async () => {
    const { type, inputs } = await registered(() => construct("one"));
    expect(type).toBe(typeOf(kind));
    expect(inputs["__provider"]).toBe(providerOf(kind));
    expect(Buffer.byteLength(providerOf(kind))).toBeLessThanOrEqual(200);
  });

  test("sends where it comes from, a password in its connection as a secret, and nothing undefined", async () => {
    const { inputs } = await registered(() => construct("one"));
    expect(inputs["__origin"]).toEqual({ project: "shop", stack: "live", name: "one" });
    expect(inputs["__urn"]).toBe(`urn:pulumi:live::shop::${typeOf(kind)}::one`);
    // The mock takes all of an object for a secret where a part of it is one; test/e2e/secrets.test.ts sees the parts.
    expect(inputs["connection"]).toEqual({
      "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
      value: connection,
    });
    expect(Object.values(inputs)).not.toContain(undefined);
    for (const output of ["rules", "machineId", "applied", "pinnedHostKey"]) expect(inputs).not.toHaveProperty(output);
  });

  test("sends the URN that it will have under a parent, and does not wait for the parent's other children", async () => {
    const { inputs } = await registered(() => {
      const parent = new pulumi.ComponentResource("shop:Office", "office");
      construct("first", { parent });
      return construct("second", { parent });
    });
    expect(inputs["__urn"]).toBe(`urn:pulumi:live::shop::shop:Office$${typeOf(kind)}::second`);
  });

  test("its outputs can be used by other resources", async () => {
    await registered(() => {
      const made = construct("one") as drawbridge.LeakFence | drawbridge.SudoRule;
      expect(pulumi.Output.isInstance(made.rules)).toBe(true);
      expect(pulumi.Output.isInstance(made.machineId)).toBe(true);
      return made;
    });
  });
});

describe("the stored text, in a process of its own as Pulumi evaluates it", () => {
  // The very module by which Pulumi turns the text into code.
  const evaluator = createRequire(require.resolve("@pulumi/pulumi/package.json")).resolve("require-from-string");
  let folder: string;

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "drawbridge-wire-")));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const linkPackage = (into: string) => {
    mkdirSync(into, { recursive: true });
    symlinkSync(repository, join(into, "pulumi-drawbridge"));
  };

  /** Runs `main` from an empty folder of a project, and prints which methods the provider of `kind` has. */
  async function evaluate(kind: string, main: string, cwd: string): Promise<string> {
    const program = `const provider = require(${JSON.stringify(evaluator)})(${JSON.stringify(providerOf(kind))}).handler();
      console.log(Object.keys(provider).sort().join(" "));`;
    mkdirSync(join(main, ".."), { recursive: true });
    writeFileSync(main, program);
    return (await promisify(execFile)(process.execPath, [main], { cwd })).stdout.trim();
  }

  const methods = "check create delete diff read update";

  test.each(frozenKinds)("finds the package from the folder of the project, for %s", async (kind) => {
    const project = join(folder, "project");
    linkPackage(join(project, "node_modules"));
    mkdirSync(join(project, "dist"));
    expect(await evaluate(kind, join(folder, "elsewhere", "main.js"), project)).toBe(methods);
    expect(await evaluate(kind, join(folder, "elsewhere", "main.js"), join(project, "dist"))).toBe(methods);
  });

  test("finds the package from where the SDK really is, as pnpm lays out what no project depends on directly", async () => {
    const project = join(folder, "project");
    const virtual = join(project, "node_modules", ".pnpm");
    linkPackage(join(virtual, "node_modules"));
    const main = join(virtual, "@pulumi+pulumi", "node_modules", "@pulumi", "pulumi", "main.js");
    expect(await evaluate("LeakFence", main, project)).toBe(methods);
  });

  test("fails where the package is nowhere, and says its name", async () => {
    const project = join(folder, "project");
    mkdirSync(project);
    await expect(evaluate("LeakFence", join(folder, "elsewhere", "main.js"), project)).rejects.toThrow(
      "Cannot find module 'pulumi-drawbridge/provider'",
    );
  });
});
