import { objectName } from "../../src/core/values/names";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven, type Props } from "./drive";

let host: LabHost;
let before: string;

beforeEach(async () => {
  host = await startHost();
});
afterEach(() => host.down());

const on = (own: Props): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, ...own });
const value = async (path: string) => (await host.run(`cat /sys/class/net/${path}`)).stdout.trim();

async function given(script: string): Promise<void> {
  await host.run(script);
  before = await host.fingerprint();
}

/** Refused by name without `adopt`, nothing changed; with it made. */
async function adopted(kind: string, own: Props, name: RegExp): Promise<Driven> {
  await expect(Driven.create(kind, "mine", on(own))).rejects.toThrow(name);
  expect(await host.fingerprint()).toBe(before);
  return Driven.create(kind, "mine", on({ ...own, adopt: true }));
}

describe("a bridge that was there", () => {
  const taken = { name: "br0", ageingTimeSeconds: 30, priority: 100 };
  const withPort =
    "ip link add br0 type bridge ageing_time 5000 priority 200 && ip link set br0 up && ip address add 192.0.2.1/24 dev br0 && ip tuntap add other mode tap && ip link set other master br0";

  test("is taken over, and delete puts back what was found", async () => {
    await given(withPort);
    const bridge = await adopted("Bridge", taken, /the bridge br0 is there already and not ours; `adopt: true` takes it over/);
    expect(await value("br0/bridge/ageing_time")).toBe("3000");
    expect((await host.run("ip address show br0")).stdout).toContain("192.0.2.1/24");
    expect(await bridge.refresh()).toEqual({});
    // A setting that leaves the program is put back by itself.
    await bridge.up(on({ name: "br0", priority: 100, adopt: true }));
    expect(await value("br0/bridge/ageing_time")).toBe("5000");
    expect(await value("br0/bridge/priority")).toBe("100");
    await bridge.delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test("what others have changed since stays", async () => {
    await given(withPort);
    const bridge = await adopted("Bridge", taken, /br0/);
    await host.run("ip link set br0 type bridge ageing_time 7000");
    await bridge.delete();
    expect(await value("br0/bridge/ageing_time")).toBe("7000");
    expect(await value("br0/bridge/priority")).toBe("200");
    await host.run("ip link set br0 type bridge ageing_time 5000");
    expect(await host.fingerprint()).toBe(before);
  });

  test.each([
    ["the first leaves first", [0, 1]],
    ["the second leaves first", [1, 0]],
  ])("held by two stacks, %s: the last one puts back what the first one found", async (_story, order) => {
    await given(withPort);
    const of = (stack: string) =>
      Driven.create("Bridge", "shared", on({ name: "br0", ageingTimeSeconds: 30, addresses: [], adopt: true }), { stack });
    await host.run("ip address delete 192.0.2.1/24 dev br0");
    before = await host.fingerprint();
    const both = [await of("one"), await of("two")];
    expect(await value("br0/bridge/ageing_time")).toBe("3000");
    await both[order[0] ?? 0]?.delete();
    expect(await value("br0/bridge/ageing_time")).toBe("3000");
    expect((await host.run("sysctl -n net.ipv4.conf.br0.arp_ignore")).stdout).toBe("1\n");
    await both[order[1] ?? 0]?.delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test("two cannot want different things of it", async () => {
    await given(withPort);
    const one = await Driven.create("Bridge", "one", on({ name: "br0", ageingTimeSeconds: 30, adopt: true }), { stack: "one" });
    const other = on({ name: "br0", ageingTimeSeconds: 60, adopt: true });
    await expect(Driven.create("Bridge", "two", other, { stack: "two" })).rejects.toThrow(
      /br0 ageing_time is held as 3000 by another resource/,
    );
    await expect(Driven.create("Bridge", "two", on({ name: "br0" }), { stack: "two" })).rejects.toThrow(
      /br0 is there already and belongs to tests\/one Bridge one/,
    );
    await one.delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test("one of the same program under two names is refused", async () => {
    await given("true");
    const results = await Promise.allSettled(["one", "two"].map((name) => Driven.create("Bridge", name, on({ name: "br0" }))));
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    await expect(Driven.create("Bridge", "three", on({ name: "br0" }))).rejects.toThrow(
      /br0 belongs to another resource of this program/,
    );
    for (const result of results) if (result.status === "fulfilled") await result.value.delete();
    expect(await host.fingerprint()).toBe(before);
  });
});

test("a bridge of ours that has got foreign ports stays, with them", async () => {
  await given("ip tuntap add other mode tap");
  const bridge = await Driven.create("Bridge", "mine", on({ name: "br0" }));
  await host.run("ip link set other master br0");
  await bridge.delete();
  expect((await host.run("ip -br link show master br0")).stdout).toMatch(/^other /);
  await host.run("ip link delete br0");
  expect(await host.fingerprint()).toBe(before);
});

test("a port of another bridge is taken over and goes back there, with what was set on it", async () => {
  await given(
    "ip link add br0 address 02:00:5e:00:53:01 type bridge && ip link add br1 type bridge && ip tuntap add tap0 mode tap && ip link set tap0 up && ip link set tap0 down && ip link set tap0 master br1 && bridge link set dev tap0 isolated on cost 7",
  );
  const port = await adopted(
    "BridgePort",
    { bridge: "br0", interface: "tap0", learning: false },
    /tap0 is already a port of br1 and not ours/,
  );
  expect((await host.run("ip -br link show master br0")).stdout).toMatch(/^tap0 /);
  await port.delete();
  // Leaving a bridge and coming back makes the kernel forget what was set.
  await host.run("bridge link set dev tap0 isolated on cost 7");
  expect(await host.fingerprint()).toBe(before);
});

test("a port of the same bridge keeps what the program does not say", async () => {
  await given(
    "ip link add br0 type bridge && ip tuntap add tap0 mode tap && ip link set tap0 up && ip link set tap0 down && ip link set tap0 master br0 && bridge link set dev tap0 isolated on learning off cost 7",
  );
  const port = await adopted("BridgePort", { bridge: "br0", interface: "tap0", learning: true }, /tap0 is already a port of br0/);
  expect(await value("tap0/brport/isolated")).toBe("1");
  expect(await value("tap0/brport/learning")).toBe("1");
  await port.delete();
  expect(await host.fingerprint()).toBe(before);
});

test("a table of our name that is no resource's", async () => {
  await given(
    "nft 'add table inet drawbridge { chain old { type filter hook forward priority 0; policy accept; ip daddr 192.0.2.66 counter drop; }; }'",
  );
  const fence = await adopted(
    "LeakFence",
    { uplink: "eth0", networks: ["rfc1918"] },
    /the table inet drawbridge is there already and no resource's/,
  );
  expect((await host.run("nft list table inet drawbridge")).stdout).not.toContain("192.0.2.66");
  const second = await Driven.create("LeakFence", "second", on({ uplink: "eth0", networks: ["ula"] }));
  await fence.delete();
  expect((await host.run("nft list table inet drawbridge")).stdout).not.toContain("192.0.2.66");
  await second.delete();
  expect(await host.fingerprint()).toBe(before);
});

test("a change over an adopted table that is not confirmed brings it back", async () => {
  await given(
    "nft 'add table inet drawbridge { chain old { type filter hook forward priority 0; ip daddr 192.0.2.66 drop; }; }'",
  );
  // Nothing comes in by a new connection any more.
  await host.run("nft 'add table ip cut { chain in { type filter hook input priority 0; tcp dport 22 ct state new drop; }; }'");
  before = await host.fingerprint();
  await host.run("nft delete table ip cut");
  const creating = Driven.create(
    "LeakFence",
    "mine",
    on({ uplink: "eth0", networks: ["rfc1918"], adopt: true, confirmDeadlineSeconds: 3 }),
  );
  await host.run(
    "for i in $(seq 1000); do [ -d /var/lib/drawbridge/txn/*/ ] && break; sleep 0.01; done; nft 'add table ip cut { chain in { type filter hook input priority 0; tcp dport 22 ct state new drop; }; }'; for i in $(seq 1000); do [ -e /var/lib/drawbridge/txn/*/pending ] && break; sleep 0.01; done; while ls /var/lib/drawbridge/txn/*/pending /var/lib/drawbridge/txn/*/reverting 2>/dev/null | grep -q .; do sleep 0.1; done; nft delete table ip cut",
  );
  await expect(creating).rejects.toThrow();
  expect((await host.run("nft list table inet drawbridge")).stdout).toContain("192.0.2.66");
});

test.each([
  [
    "SudoRule",
    "/etc/sudoers.d/drawbridge-",
    { users: ["myself"], commands: [{ path: "/usr/bin/id" }] },
    "mybro ALL=(root) /usr/bin/true",
  ],
  ["LeakFence", "/etc/drawbridge/nft/inet-drawbridge/50-", { uplink: "eth0", networks: ["rfc1918"] }, "# mine"],
  ["BridgePort", "/etc/drawbridge/links/50-", { bridge: "br0", interface: "tap0" }, "# mine"],
  ["GuardedFile", "/etc/drawbridge/files/50-", { path: "/usr/local/bin/x", mode: "0755", content: "x" }, "# mine"],
  ["SystemGroup", "/etc/drawbridge/groups/50-", { name: "viewers" }, "# mine"],
])("a file in the place of a %s", async (kind, place, own, text) => {
  const file = `${place}${objectName(kind, { project: "tests", stack: "lab", name: "mine" })}${kind === "LeakFence" ? ".nft" : ""}`;
  await given(`mkdir -p "$(dirname '${file}')" && echo '${text}' >'${file}' && chmod 440 '${file}'`);
  const resource = await adopted(kind, own, /is there already and not ours; `adopt: true` takes it over/);
  expect((await host.run(`cat '${file}'`)).stdout).toMatch(/^# drawbridge 1\n/);
  expect(await resource.refresh()).toEqual({});
  await resource.delete();
  expect(await host.fingerprint()).toBe(before);
});
