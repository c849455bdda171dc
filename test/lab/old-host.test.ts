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

/** Puts onto the host what the version has left on one, and has the earlier program load it. */
async function placed(version: string): Promise<Driven[]> {
  const stored = readFileSync(join(folder, `${version}.json`), "utf8");
  const { files, resources } = JSON.parse(
    placeholders(host).reduce((all, [from, to]) => all.replaceAll(from, to), stored),
  ) as OldHost;
  for (const [path, { mode, text }] of Object.entries(files)) {
    const place = mode === "link" ? `ln -sfT "$(cat)" ${path}` : `cat >${path} && chmod ${mode} ${path}`;
    await host.run(`mkdir -p "$(dirname ${path})" && ${place}`, { stdin: text });
  }
  await host.run("drawbridge-host load");
  return resources.map((one) => Driven.from(one));
}

const argsOf = (index: number): Props => ({ ...accessOf(host), ...ARGS[index]?.[2], confirmDeadlineSeconds: 20 });

test.each(versions)("what version %s has left is loaded, shows no drift, and is upgraded by the next change", async (version) => {
  const before = await host.fingerprint();
  // The earlier program has made the table, the later one compares it.
  const made = await placed(version);
  const program = (await host.run("cat /usr/local/sbin/drawbridge-host")).stdout;
  for (const one of made) expect([one.name, await one.refresh()]).toEqual([one.name, {}]);
  await Promise.all(made.map((one, index) => one.up(argsOf(index))));
  expect((await host.run("cat /usr/local/sbin/drawbridge-host")).stdout).not.toBe(program);
  for (const one of made) expect([one.name, await one.refresh()]).toEqual([one.name, {}]);
  await Promise.all(made.map((one) => one.delete()));
  expect(await host.fingerprint()).toBe(before);
});

test("a fence of 0.1.0 becomes sets in one commit: no packet passes, and its counters keep what they have counted", async () => {
  const [fence] = await placed("0.1.0");
  if (!fence) throw new Error("nothing was recorded");
  await host.outside("ip address replace 10.9.9.9/32 dev labsw; ip address replace 203.0.113.9/32 dev labsw");
  const counters = async () => {
    const { stdout } = await host.run("nft list counters table inet drawbridge; nft list counters table netdev drawbridge");
    const found = [...stdout.matchAll(/counter (leak-fence\S+) \{\s+packets (\d+)/g)].map(
      ([, name, count]) => `${name} ${count}`,
    );
    return found.sort();
  };
  const send = (to: string, count: number) =>
    host.run(`perl -MSocket=:all -e '
      socket(my $s, AF_INET, SOCK_DGRAM, 0) or die; my $to = pack_sockaddr_in(4009, inet_aton("${to}"));
      for (1 .. ${count}) { send($s, "hit", 0, $to) or $!{EPERM} or $!{ENOBUFS} or die "$!"; select undef, undef, undef, 0.01 }'`);
  // Hosts of other tests send to the same switch.
  const listening = host.outside(
    `timeout 12 tcpdump -lni labsw -Q in src host ${host.address} and '(udp port 4009 or udp port 4010)' 2>/dev/null`,
    { allowFailure: true },
  );
  const commits = host.run("timeout 12 nft monitor", { allowFailure: true });

  await send("10.9.9.9", 3);
  const counted = await counters();
  expect(counted).toContainEqual(expect.stringMatching(/\.to\.10\.0\.0\.0\/8 3$/));
  // Of a network whose hits of the moment do not count here: tables that are made anew lose those between reading and commit.
  await Promise.all([fence.up(argsOf(0)), send("172.16.9.9", 300)]);
  const after = await counters();
  expect(after.map((line) => line.split(" ")[0])).toEqual(counted.map((line) => line.split(" ")[0]));
  expect(after).toContainEqual(expect.stringMatching(/\.to\.10\.0\.0\.0\/8 3$/));
  expect(await fence.refresh()).toEqual({});
  // The control: the listener hears what is not fenced.
  await host.run("echo heard | nc -u -w 1 203.0.113.9 4010 || true");
  expect((await listening).stdout).toMatch(/203\.0\.113\.9\.4010/);
  expect((await listening).stdout).not.toContain("4009");
  // Each table goes and comes in one commit; before it those that guard meanwhile come, and after it they go.
  const generations = (await commits).stdout.split(/^# new generation .*$/m).map((events) => {
    const verbs = [...events.matchAll(/^(add|delete) table (?:inet|netdev) (drawbridge|drawbridge_beside)$/gm)];
    return [...new Set(verbs.map(([, verb, table]) => `${verb} ${table}`))].sort();
  });
  expect(generations).toEqual([
    ["add drawbridge_beside", "delete drawbridge_beside"],
    ["add drawbridge", "delete drawbridge"],
    ["delete drawbridge_beside"],
    [],
  ]);
});
