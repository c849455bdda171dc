import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { HostError } from "../../dist/core/errors";
import { closePool, pooledHost } from "../../dist/host/pool";
import type * as Programs from "../../dist/host/program";
import { kinds } from "../../dist/providers/registry";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven, type Props } from "../lab/drive";
import { change } from "./change";
import { between, Flood, FLOODED } from "./flood";

const many = (count: number) => Array.from({ length: count }, (_, index) => `198.51.100.${index}/32`);

/** What each property is changed to; `null` where no change of it keeps the network fenced. */
const edits: Readonly<Record<string, readonly Props[] | null>> = {
  networks: [
    { networks: ["rfc1918", "ula", ...many(60)] },
    { networks: ["ula", "10.0.0.0/8"] },
    { networks: ["rfc1918", "ula", "cgnat", "reserved"], exceptions: [] },
    { networks: ["rfc1918", "ula"] },
  ],
  exceptions: [
    { exceptions: many(60).map((cidr) => ({ cidr, direction: "to" })) },
    { exceptions: [{ cidr: "10.1.2.3", direction: "from", description: "one" }] },
    {},
  ],
  egress: [{ egress: false }, { egress: true }],
  mode: null,
  uplink: null,
};

test("every property of the fence is changed here, or cannot be without opening it", () => {
  expect(Object.keys(edits).sort()).toEqual(Object.keys(kinds.get("LeakFence")?.schema.shape ?? {}).sort());
});

describe.each(["routed", "bridged"] as const)("a flood on a host whose uplink is %s", (uplink) => {
  let host: LabHost;
  let flood: Flood;
  let sentInAll = 0;
  let throughInAll = 0;
  const args = (more: Props = {}): Props => ({
    ...accessOf(host),
    uplink: uplink === "routed" ? "eth0" : { interface: "eth0", bridge: "br0" },
    networks: ["rfc1918", "ula"],
    confirmDeadlineSeconds: 60,
    ...more,
  });

  beforeAll(async () => {
    host = await startHost({ uplink });
    flood = new Flood(host);
    await flood.watch();
    if (uplink === "routed") {
      // What a network manager would have made of the guest's packets before they meet the fence.
      await host.run(`sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        nft 'table inet theirs { chain out { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }; }'`);
    }
    const guest = await host.guest(
      uplink === "routed"
        ? {
            name: "one",
            addresses: ["10.0.1.2/24", "fd00:1::2/64"],
            gateway: ["10.0.1.1", "fd00:1::1"],
            attach: { hostAddresses: ["10.0.1.1/24", "fd00:1::1/64"] },
          }
        : {
            name: "one",
            addresses: ["198.18.250.2/16", "2001:db8:77::fa/64"],
            gateway: ["198.18.0.1", "2001:db8:77::1"],
            attach: { bridge: "br0" },
          },
    );
    await flood.packets("own", host);
    await flood.packets("guest", guest);
    await flood.frames("raw", host);
    if (uplink === "bridged") await flood.frames("raw-guest", guest);
  });
  afterAll(async () => {
    closePool();
    await flood.end();
    await host.down();
    process.stderr.write(`${uplink}: ${sentInAll} sent, ${throughInAll} through\n`);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  /** What of the flood comes through while `work` is done. */
  async function during(work: () => Promise<unknown>) {
    const before = await flood.count();
    await work();
    // A moment more, for what was open only just then.
    await sleep(300);
    return between(before, await flood.count());
  }

  const closed = [...FLOODED.closed, FLOODED.raw];
  /** Nothing comes through although every flood runs, and what is not fenced does. `less`: addresses that may. */
  async function shut(what: string, work: () => Promise<unknown>, less: readonly string[] = []) {
    const { sent, through } = await during(work);
    const watched = closed.filter((address) => !less.includes(address));
    expect(watched.map((address) => `${what}: ${through[address]} to ${address}`)).toEqual(
      watched.map((address) => `${what}: 0 to ${address}`),
    );
    for (const [name, count] of Object.entries(sent)) expect({ what, name, ran: count > 50 }).toMatchObject({ ran: true });
    expect(through[FLOODED.open]).toBeGreaterThan(0);
    sentInAll += Object.values(sent).reduce((sum, one) => sum + one, 0);
    throughInAll += watched.reduce((sum, address) => sum + (through[address] ?? 0), 0);
  }

  /** The control. */
  async function isOpen() {
    const { through } = await during(() => sleep(200));
    for (const address of [...closed, FLOODED.open]) expect({ address, count: through[address] }).not.toMatchObject({ count: 0 });
  }

  const pooled = () =>
    pooledHost({
      connection: { host: host.address, user: "deploy", hostKey: host.hostKey, perDialTimeout: 2 },
      become: true,
      privateKeyPath: clientKeyPath,
    });

  test("nothing comes through whatever is done to a fence that stands", async () => {
    await isOpen();
    let fence = await Driven.create("LeakFence", "fence", args());
    await shut("nothing is done", () => sleep(500));

    for (const [name, steps] of Object.entries(edits)) {
      for (const [index, more] of (steps ?? []).entries()) {
        // Raw frames meet the second line only.
        const less = more["egress"] === undefined ? [] : [FLOODED.raw];
        await shut(`${name} ${index}`, async () => expect(await fence.up(args(more))).toBe(true), less);
      }
    }
    await shut("an update of nothing", () => fence.up(args({ confirmDeadlineSeconds: 50 })));

    // Each is loaded whole: a map takes over from another one (many networks of one length are found by their hash), and a table goes and comes.
    await shut("networks that are found otherwise", async () => {
      await fence.up(args({ networks: ["ula", "10.0.0.0/8", ...many(70)] }));
      await fence.up(args({ networks: ["ula", "10.0.0.0/8", ...many(60)] }));
    });
    await shut("whole loads, one after the other", () =>
      host.run("for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do drawbridge-host load; done"),
    );

    await shut("a unit that flushes all tables", () =>
      host.run(`nft -s list ruleset | awk '/^table/ { ours = / drawbridge/ } !ours' >/run/theirs.body
        { echo 'flush ruleset'; cat /run/theirs.body; } >/run/theirs.nft
        for n in 1 2 3 4 5 6 7 8 9 10; do drawbridge-host around nft -f /run/theirs.nft; done`),
    );

    await shut("a rename with an alias", async () => expect(await fence.up(args(), { name: "renamed" })).toBe(true));
    await shut("a rename without one", async () => {
      const next = await Driven.create("LeakFence", "third", args());
      await fence.delete();
      fence = next;
    });

    await shut("another stack", async () => {
      const other = await Driven.create("LeakFence", "fence", args({ networks: ["rfc1918", "cgnat"] }), { stack: "two" });
      await other.up(args({ networks: ["cgnat"] }), { stack: "two" });
      await other.delete();
    });

    await shut("a change that locks out is undone", async () => {
      const lockOut = change(
        "lock-out",
        {
          "/etc/drawbridge/nft/inet-drawbridge/50-lock-out.nft":
            "chain lock-out {\n\ttype filter hook input priority 0; policy accept;\n\ttcp dport 22 drop\n}\n",
          "/etc/drawbridge/nft/netdev-drawbridge/50-lock-out.nft": "chain lock-out {\n}\n",
          "/etc/drawbridge/nft/bridge-drawbridge/50-lock-out.nft": "chain lock-out {\n}\n",
        },
        { deadlineSeconds: 5 },
      );
      await expect(pooled().change(lockOut)).rejects.toThrow(HostError);
    });

    await shut("boot's loader, and udev's", () => host.run("drawbridge-host settle; drawbridge-host load; drawbridge-host load"));
    // The control: the shortest open moment that a loader could leave, between two commits, is seen.
    const { through } = await during(() =>
      host.run("for f in inet bridge netdev; do nft delete table $f drawbridge 2>/dev/null; done; drawbridge-host load"),
    );
    for (const address of closed) expect({ address, count: through[address] }).not.toMatchObject({ count: 0 });
    await shut("a boot before the network comes", () =>
      flood.unplugged(() => host.run("nft flush ruleset; drawbridge-host settle; drawbridge-host load")),
    );

    const programs = jest.requireActual<typeof Programs>("../../dist/host/program");
    const { text } = programs.hostProgram();
    const digest = createHash("sha256").update(text).update("newer").digest("hex");
    const newer = text
      .toString("utf8")
      .replace(/^VERSION=.*$/m, "VERSION=99.0.0")
      .replace(/^DIGEST=.*$/m, `DIGEST=${digest}`);
    jest.spyOn(programs, "hostProgram").mockReturnValue({ text: Buffer.from(newer), version: "99.0.0", digest });
    await shut("an upgrade of the program", async () => {
      await fence.up(args({ confirmDeadlineSeconds: 40 }));
      expect((await host.run("drawbridge-host version")).stdout.trim()).toBe("99.0.0");
    });

    await fence.delete();
    await isOpen();
  }, 600_000);
});
