import { once } from "node:events";
import { closePool } from "../../dist/host/pool";
import { type LabHost, ordered, startHost } from "../../tools/lab";
import { type Part, Stack, transactionsOf, untilReached, waitFor } from "./drill";

const parts: readonly Part[] = [
  {
    kind: "LeakFence",
    name: "fence",
    id: "f".repeat(32),
    args: { A: { uplink: "eth0", networks: ["10.0.0.0/8"] }, B: { uplink: "eth0", networks: ["172.16.0.0/12"] } },
  },
  {
    kind: "Bridge",
    name: "bridge",
    id: "b".repeat(32),
    args: {
      A: { name: "br0", uplink: "nic0", ageingTimeSeconds: 60 },
      B: { name: "br0", uplink: "nic0", ageingTimeSeconds: 10 },
    },
  },
];

let host: LabHost;
let stack: Stack;
beforeEach(async () => {
  host = await startHost();
  await host.run(
    "mkdir -m 700 /run/drill; ip tuntap add nic0 mode tap && ip link set nic0 up; ip link add br7 type bridge; nft add table ip theirs",
  );
  stack = new Stack(host, parts, 5);
  expect((await stack.start("A").outcomes)?.map(({ error }) => error)).toEqual([undefined, undefined]);
});
afterEach(async () => {
  jest.restoreAllMocks();
  closePool();
  await host.down();
});

/** The rules of our tables and what is set on our bridge, as the kernel has them. */
const kernel = async () =>
  ordered(
    (await host.run("for t in inet netdev; do nft -s list table $t drawbridge; done; cat /sys/class/net/br0/bridge/ageing_time"))
      .stdout,
  );

/** Applies a change that nobody confirms, and does something before the host undoes it; answers how the kernel was before. */
async function undoneAfter(script: string): Promise<string> {
  const before = await kernel();
  await host.run("echo applied >/run/drill/at");
  const provider = stack.start("B");
  await untilReached(host, "applied");
  provider.process.kill("SIGKILL");
  await once(provider.process, "exit");
  // The control: the change does stand until then.
  expect(await kernel()).not.toBe(before);
  await host.run(`${script}\nrm /run/drill/reached`);
  await waitFor("the undo", 60, () => transactionsOf(host).length === 0);
  return before;
}

test.each([
  ["/etc/drawbridge was emptied", "rm -r /etc/drawbridge"],
  ["the files in /etc/drawbridge were damaged", "for f in /etc/drawbridge/*/*/*; do echo nonsense >$f; done"],
  ["the program was removed", "rm /usr/local/sbin/drawbridge-host"],
  ["the interface of the bridge has gone", "ip link delete nic0"],
])("the undo works although %s meanwhile", async (_what, script) => {
  expect(await kernel()).toContain("10.0.0.0/8");
  const before = await undoneAfter(script);
  expect(await kernel()).toBe(before);
  await host.run("ip link show nic0 >/dev/null 2>&1 || ip tuntap add nic0 mode tap");
  expect((await stack.start("B").outcomes)?.map(({ error }) => error)).toEqual([undefined, undefined]);
  expect(await stack.refresh("B")).toEqual({ fence: [], bridge: [] });
});

test("the undo leaves alone what others have changed meanwhile", async () => {
  const before = await undoneAfter(`
    nft add chain ip theirs new; nft add table ip6 later; ip link set br7 type bridge ageing_time 5000; ip link add br8 type bridge
    echo '# theirs' >/etc/sudoers.d/theirs; ip address add 192.0.2.7/32 dev br7; ip route add 192.0.2.64/26 dev eth0`);
  expect(await kernel()).toBe(before);
  const { stdout } = await host.run(`
    nft list table ip theirs; nft list tables; cat /sys/class/net/br7/bridge/ageing_time /etc/sudoers.d/theirs; ip -br link show br8; ip -br address show br7
    ip route show 192.0.2.64/26`);
  for (const theirs of ["chain new", "table ip6 later", "5000\n", "# theirs", "br8", "192.0.2.7/32", "192.0.2.64/26 dev eth0"]) {
    expect(stdout).toContain(theirs);
  }
});
