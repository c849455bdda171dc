import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

// One file per released version: the resources of `pulumi stack export --show-secrets` with that version. They are kept for ever and
// never changed: what users of that version have in their states. Words in angle brackets stand for what each run has anew. Before a release:
// DRAWBRIDGE_RECORD_STATE=0.1.0 npm run test:e2e -- -- --testPathPatterns old-state
const folder = join(__dirname, "old-states");
const versions = readdirSync(folder).map((name) => name.replace(/\.json$/, ""));

const program = (host: LabHost) => `
const host = { ${hostText(host)} };
new drawbridge.LeakFence("inside", {
  ...host,
  uplink: "eth0",
  networks: ["rfc1918", "ula"],
  exceptions: [{ cidr: "10.0.5.1/32", direction: "to", description: "the provider's time server" }],
});
new drawbridge.Bridge("guests", { ...host, name: "br0", uplink: "nic0", ageingTimeSeconds: 60 });
new drawbridge.BridgePort("web", { ...host, bridge: "br0", interface: "tap0", isolated: true });
new drawbridge.SudoRule("viewer", {
  ...host,
  users: ["myself"],
  runAsUser: "myself",
  runAsGroup: "spicegrp",
  commands: [{ path: "/usr/bin/id", args: ["-u"] }],
  commandDefaults: { env_keep: ["DISPLAY"] },
});`;

interface Exported {
  readonly version: number;
  readonly deployment: Record<string, unknown>;
}

/** What stands in a fixture for each value that only a real host and run can give. */
async function placeholders(host: LabHost, stack: Stack): Promise<[placeholder: string, value: string][]> {
  const found: [string, string][] = [
    ["<host key>", host.hostKey],
    ["<address>", host.address],
    ["<key path>", clientKeyPath],
  ];
  for (const { urn, id = "", outputs } of await stack.resources()) {
    const name = urn.split("::").at(-1) ?? "";
    const { files } = outputs["applied"] as { files: Record<string, string> };
    found.push([`<id of ${name}>`, id], ["<machine id>", String(outputs["machineId"])]);
    for (const [path, sum] of Object.entries(files)) found.push([`<sum of ${path}>`, sum]);
  }
  return found;
}

const replaceAll = (text: string, pairs: readonly (readonly [string, string])[]) =>
  pairs.reduce(
    (result, [from, to]) => result.replaceAll(JSON.stringify(from).slice(1, -1), JSON.stringify(to).slice(1, -1)),
    text,
  );

/** The resources as they are stored now, without what tells of this machine or of the time. */
async function record(path: string, stack: Stack, values: readonly (readonly [string, string])[]): Promise<void> {
  const { version, deployment } = JSON.parse(await stack.expect("stack", "export", "--show-secrets")) as Exported;
  const passing = ["created", "modified", "sourcePosition", "stackTrace"];
  const kept = (key: string, value: unknown) => (passing.includes(key) ? undefined : value);
  const text = JSON.stringify({ version, deployment: { resources: deployment["resources"] } }, kept, 2);
  const placeholdersOf = values.map(([placeholder, value]) => [value, placeholder] as const);
  writeFileSync(path, `${replaceAll(text, placeholdersOf)}\n`);
}

const recorded = process.env["DRAWBRIDGE_RECORD_STATE"];
if (recorded !== undefined) {
  test("is recorded", async () => {
    const host = await startHost();
    const stack = await Stack.create(program(host));
    await stack.up();
    await record(join(folder, `${recorded}.json`), stack, await placeholders(host, stack));
    stack.dispose();
    await host.down();
  });
}

describe.each(versions)("a state that version %s has written", (version) => {
  let host: LabHost;
  let stack: Stack;
  let before: string;

  beforeAll(async () => {
    host = await startHost();
    before = await host.fingerprint();
    stack = await Stack.create(program(host));
    await stack.up();
  });
  afterAll(async () => {
    stack.dispose();
    await host.down();
  });

  test("is refreshed without drift, updated once where today's code writes other rules, and destroyed", async () => {
    const values = await placeholders(host, stack);
    const filled = replaceAll(readFileSync(join(folder, `${version}.json`), "utf8"), values);
    expect(filled).not.toMatch(/"<[a-z]/);
    const { deployment: old } = JSON.parse(filled) as Exported;
    const { version: format, deployment } = JSON.parse(await stack.expect("stack", "export")) as Exported;
    const path = join(stack.folder, "old-state.json");
    writeFileSync(path, JSON.stringify({ version: format, deployment: { ...deployment, ...old } }));
    await stack.expect("stack", "import", "--file", path);

    const standing = await host.fingerprint();
    expect(await stack.refresh()).toContain("5 unchanged");
    // What passes a fence so that the link works is narrower than in 0.1.0; the other kinds write what they wrote.
    const preview = await stack.preview();
    expect(preview).toMatch(/~ 1 to update[^]*4 unchanged/);
    expect(preview).toMatch(/LeakFence: \(update\)[^]*~ rules/);
    expect(await stack.up()).toMatch(/~ 1 updated[^]*4 unchanged/);
    await stack.expect("preview", "--expect-no-changes");
    expect(await host.fingerprint()).toBe(standing);

    await stack.expect("stack", "import", "--file", path);
    expect(await stack.destroy()).toContain("- 5 deleted");
    expect(await host.fingerprint()).toBe(before);
  });
});
