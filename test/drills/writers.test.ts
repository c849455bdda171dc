import { createHash } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hostProgram } from "../../dist/host/program";
import { forKind } from "../../dist/provider";
import { type LabHost, startHost } from "../../tools/lab";
import { world } from "../../tools/lab/world";
import { accessOf, type Props } from "../lab/drive";
import { type Outcome, Provider } from "./drill";

const WRITERS = 20;
const ROUNDS = process.env["DRAWBRIDGE_DRILLS"] === "all" ? 8 : 1;

/** What foreign programs keep changing; each by a way of its own, and each line says how often. */
const foreign: Readonly<Record<string, string>> = {
  rules: "nft add rule ip theirs in ip saddr 192.0.2.$((n % 250)) counter",
  sets: "nft add element ip theirs seen { 10.$((n / 250 % 250)).$((n % 250)).1 }",
  links: "ip link set theirs0 type bridge ageing_time $((n * 100 + 100)); ip address replace 192.0.2.$((n % 250))/32 dev theirs0",
  sudoers: 'echo "mybro ALL=(root) /usr/bin/id $n" >/etc/sudoers.d/.new && mv /etc/sudoers.d/.new /etc/sudoers.d/theirs',
  settings: "sysctl -qw net.ipv4.neigh.theirs0.gc_stale_time=$((n + 1))",
};

/** Everything of the host that is not ours, as text. */
const foreignText = async (host: LabHost) =>
  (
    await host.run(`nft -s list table ip theirs; cat /etc/sudoers.d/theirs; echo ageing $(cat /sys/class/net/theirs0/bridge/ageing_time)
      sysctl net.ipv4.neigh.theirs0.gc_stale_time; ip -br address show dev theirs0`)
  ).stdout;

let host: LabHost;
beforeAll(async () => {
  host = await startHost();
  await host.run(`ip link add theirs0 type bridge && ip link set theirs0 up; mkdir -m 700 /run/theirs
    nft 'table ip theirs { set seen { type ipv4_addr; }; chain in { type filter hook input priority 5; }; }'`);
});
afterAll(() => host.down());

/** The program as an earlier version of the package has it, and as this one. */
function programs(): readonly string[] {
  const folder = mkdtempSync(join(world(), "writers-"));
  const { text } = hostProgram();
  const versions = ["0.0.9", undefined].map((version) => {
    const digest = createHash("sha256")
      .update(text)
      .update(version ?? "")
      .digest("hex");
    return version === undefined
      ? text.toString("utf8")
      : text
          .toString("utf8")
          .replace(/^VERSION=.*$/m, `VERSION=${version}`)
          .replace(/^DIGEST=.*$/m, `DIGEST=${digest}`);
  });
  return versions.map((version, index) => {
    const path = join(folder, `drawbridge-host-${index}`);
    writeFileSync(path, version);
    return path;
  });
}

interface Writer {
  readonly kind: string;
  readonly id: string;
  readonly origin: { readonly project: string; readonly stack: string; readonly name: string };
  readonly args: (round: number) => Props;
}

const writers: readonly Writer[] = Array.from({ length: WRITERS }, (_, number) => {
  const own = (round: number): readonly [string, Props] =>
    number % 3 === 0
      ? ["LeakFence", { uplink: "eth0", networks: [`10.${number}.${round}.0/24`, "rfc1918"] }]
      : number % 3 === 1
        ? ["SudoRule", { users: ["myself"], commands: [{ path: "/usr/bin/id", args: [`${number}-${round}`] }] }]
        : ["Bridge", { name: `br${number}`, mac: `02:00:5e:00:53:${String(number + 10)}`, ageingTimeSeconds: 60 + round }];
  return {
    kind: own(0)[0],
    id: number.toString(16).padStart(2, "0").repeat(16),
    origin: { project: "writers", stack: number % 2 === 0 ? "one" : "two", name: `w${number}` },
    args: (round) => ({ ...accessOf(host), confirmDeadlineSeconds: 120, ...own(round)[1] }),
  };
});

/** What the engine keeps of each writer. */
const states = new Map<string, Props>();

/** All writers at once, each a process of its own; every second one has another version of the package. */
async function write(argsOf: (writer: Writer) => Props | undefined): Promise<readonly Outcome[]> {
  const versions = programs();
  const outcomes = writers.map(async (writer, number) => {
    const { kind, id, origin } = writer;
    const args = argsOf(writer);
    const changes = [{ kind, id, olds: states.get(id), origin, ...(args ? { args } : {}) }];
    const provider = new Provider({ program: versions[number % versions.length] ?? "", changes }, () => undefined);
    const [outcome = { error: "the process ended without a word" }] = (await provider.outcomes) ?? [];
    if (outcome.outs) states.set(id, outcome.outs);
    return outcome;
  });
  return Promise.all(outcomes);
}

/** The ids of the lines that are not as the state has them, by writer. */
async function drift(): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const { kind, id, origin } of writers) {
    const state = states.get(id) ?? {};
    const result = await forKind(kind).read?.(id, state);
    const [is, was] = [(result?.props as Props | undefined)?.["rules"], state["rules"]];
    if (JSON.stringify(is) !== JSON.stringify(was)) found[origin.name] = { is, was };
  }
  return found;
}

/** Runs the foreign programs while `work` is done; how often each has changed something. */
async function amidForeigners(work: () => Promise<void>): Promise<Record<string, number>> {
  for (const [name, script] of Object.entries(foreign)) {
    await host.run(
      `cat >/run/theirs/${name}.sh; setsid -f sh /run/theirs/${name}.sh </dev/null >/dev/null 2>/run/theirs/${name}.log`,
      {
        stdin: `n=0\nwhile [ ! -e /run/theirs/stop ]; do\n{ ${script}; } || exit 1\nn=$((n + 1)); echo $n >/run/theirs/${name}.count\nsleep 0.1\ndone\n: >/run/theirs/${name}.ended\n`,
      },
    );
  }
  await work();
  const { stdout } = await host.run(`: >/run/theirs/stop
    for name in ${Object.keys(foreign).join(" ")}; do
      for i in $(seq 300); do [ -e /run/theirs/$name.ended ] && break; sleep 0.1; done
      [ -e /run/theirs/$name.ended ] || cat /run/theirs/$name.log; echo $name $(cat /run/theirs/$name.count)
    done; rm /run/theirs/stop /run/theirs/*.ended`);
  return Object.fromEntries([...stdout.matchAll(/^(\w+) (\d+)$/gm)].map(([, name = "", count]) => [name, Number(count)]));
}

test("twenty writers of two versions and five foreign programs on one host: nothing is lost, and nobody waits for ever", async () => {
  const before = await host.run("ls -A /etc/drawbridge /var/lib/drawbridge /usr/local/sbin 2>/dev/null; true");
  let others: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round++) {
    others = await amidForeigners(async () => {
      const outcomes = await write((writer) => writer.args(round));
      expect(outcomes.flatMap(({ error }) => error ?? [])).toEqual([]);
    });
    // The control: they were at work meanwhile, and what they did stands.
    expect(Object.keys(others).sort()).toEqual(Object.keys(foreign).sort());
    for (const [name, count] of Object.entries(others)) expect({ name, ran: count > 5 }).toEqual({ name, ran: true });
    const text = await foreignText(host);
    for (let n = 0; n < (others["rules"] ?? 0) && n < 250; n++) expect(text).toContain(`saddr 192.0.2.${n} counter`);
    for (let n = 0; n < (others["sets"] ?? 0) && n < 250; n++) expect(text).toContain(`10.0.${n}.1`);
    expect(text).toContain(`/usr/bin/id ${(others["sudoers"] ?? 0) - 1}\n`);
    expect(text).toContain(`ageing ${(others["links"] ?? 0) * 100}\n`);
    expect(text).toContain(`gc_stale_time = ${others["settings"] ?? 0}\n`);
    expect(await drift()).toEqual({});
  }
  const text = await foreignText(host);
  // Whoever comes last may be of either version.
  const gone = await write(() => undefined);
  expect(gone.flatMap(({ error }) => error ?? [])).toEqual([]);
  expect(await foreignText(host)).toBe(text);
  const after = await host.run("ls -A /etc/drawbridge /var/lib/drawbridge /usr/local/sbin 2>/dev/null; true");
  expect(after.stdout).toBe(before.stdout);
  expect((await host.run("nft list tables; ip -br link show type bridge")).stdout).not.toMatch(/drawbridge|br\d/);
}, 600_000);
