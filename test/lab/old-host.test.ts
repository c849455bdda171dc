import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven, type Props, type Stored } from "./drive";

// One file per released version: what it leaves on a host, and in the state. They are kept for ever and never changed, as hosts of users have
// them. Before a release: DRAWBRIDGE_RECORD_HOST=0.1.0 node tools/test.mjs lab -- --testPathPatterns old-host
const folder = join(__dirname, "old-hosts");
const versions = readdirSync(folder).map((name) => name.replace(/\.json$/, ""));

interface OldHost {
  /** Path to octal mode and text; `link`: to where it leads. */
  readonly files: Readonly<Record<string, { readonly mode: string; readonly text: string }>>;
  readonly resources: readonly Stored[];
}

const guarded = { ports: ["20001-20010"] };
const ARGS: readonly (readonly [kind: string, name: string, args: Props])[] = [
  [
    "LeakFence",
    "inside",
    { uplink: "eth0", networks: ["rfc1918", "ula"], exceptions: [{ cidr: "10.0.5.1/32", direction: "to" }] },
  ],
  ["IpsecPolicyDrop", "tunnel", { networks: ["192.0.2.0/24"], interface: "eth0" }],
  ["OutputGuard", "guard", guarded],
  ["UserOutputChain", "maggie", { user: "myself", allow: [{ to: "203.0.113.2", ports: [20002] }] }],
  ["UserOutputChain", "group", { group: "spicegrp", allow: [{ to: "203.0.113.2", ports: [20003] }] }],
];

/** What stands for what each host has anew. */
const placeholders = (host: LabHost): [placeholder: string, value: string][] => [
  ["<host key>", host.hostKey],
  ["<address>", host.address],
  ["<key path>", clientKeyPath],
];

let host: LabHost;
beforeEach(async () => {
  host = await startHost();
});
afterEach(async () => {
  closeConnections();
  await host.down();
});

const recorded = process.env["DRAWBRIDGE_RECORD_HOST"];
if (recorded !== undefined) {
  test("is recorded", async () => {
    await host.run("touch /root/before && sleep 1");
    const made = await Promise.all(ARGS.map(([kind, name, args]) => Driven.create(kind, name, { ...accessOf(host), ...args })));
    const { stdout } =
      await host.run(`find / -xdev -newer /root/before \\( -type f -o -type l \\) ! -path '/run/*' ! -path '/tmp/*' ! -path '/proc/*' \\
      -path '*drawbridge*' -printf '%y %m %p\\n' | sort`);
    const files: Record<string, { mode: string; text: string }> = {};
    for (const line of stdout.trim().split("\n")) {
      const [type, mode = "", path = ""] = line.split(" ");
      const isLink = type === "l";
      files[path] = { mode: isLink ? "link" : mode, text: (await host.run(`${isLink ? "readlink -n" : "cat"} ${path}`)).stdout };
    }
    const text = JSON.stringify({ files, resources: made.map((one) => one.stored()) } satisfies OldHost, undefined, 1);
    writeFileSync(
      join(folder, `${recorded}.json`),
      `${placeholders(host).reduce((all, [from, to]) => all.replaceAll(to, from), text)}\n`,
    );
  });
}

test.each(versions)("what version %s has left is loaded, shows no drift, and is upgraded by the next change", async (version) => {
  const before = await host.fingerprint();
  const stored = readFileSync(join(folder, `${version}.json`), "utf8");
  const { files, resources } = JSON.parse(
    placeholders(host).reduce((all, [from, to]) => all.replaceAll(from, to), stored),
  ) as OldHost;
  for (const [path, { mode, text }] of Object.entries(files)) {
    const place = mode === "link" ? `ln -sfT "$(cat)" ${path}` : `cat >${path} && chmod ${mode} ${path}`;
    await host.run(`mkdir -p "$(dirname ${path})" && ${place}`, { stdin: text });
  }
  const made = resources.map((one) => Driven.from(one));

  // The earlier program makes the table, the later one compares it.
  await host.run("drawbridge-host load");
  const program = (await host.run("cat /usr/local/sbin/drawbridge-host")).stdout;
  for (const one of made) expect([one.name, await one.refresh()]).toEqual([one.name, {}]);
  await Promise.all(made.map((one, index) => one.up({ ...accessOf(host), ...ARGS[index]?.[2], confirmDeadlineSeconds: 20 })));
  expect((await host.run("cat /usr/local/sbin/drawbridge-host")).stdout).not.toBe(program);
  for (const one of made) expect([one.name, await one.refresh()]).toEqual([one.name, {}]);
  await Promise.all(made.map((one) => one.delete()));
  expect(await host.fingerprint()).toBe(before);
});
