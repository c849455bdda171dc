import { setTimeout as sleep } from "node:timers/promises";
import { RemoteHost } from "../../dist/host/remote-host";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven, type Props } from "./drive";
import { defineTestGate } from "./gate-kind";

// A change of rules is a delta where the tables stand as they were last verified, and loads whole tables else. By their handles (nft -a) it shows which it was: a
// table that is loaded whole is another table.

beforeAll(() => defineTestGate());

/** For a shell: has the host remember the generation of this moment, with `of` for the boot and the network namespace that it was in. */
const rememberNow = (of: string) => `
  now=$(nft -e -f - <<X | sed -n 's/^# new generation \\([0-9]*\\).*/\\1/p'
add table ip noise
X
  )
  [ -n "$now" ] && sed -i "s/^\\([^ ]*\\) \\([^ ]*\\) [0-9]*/${of} $now/" /run/drawbridge/proven/state && grep -q " $now " /run/drawbridge/proven/state`;

describe.each(["bookworm", "trixie"] as const)("a change beside what stands, on Debian %s", (suite) => {
  let host: LabHost;
  let before: string;
  /** Stands through all tests, and is touched by none but those that tamper with it. */
  let standing: Driven;
  let set: Driven;
  let edited: Driven;
  let edits = 0;
  /** What its chains are called. */
  let object: string;

  const fence = (networks: readonly string[], more: Props = {}): Props => ({
    ...accessOf(host),
    uplink: "eth0",
    networks,
    confirmDeadlineSeconds: 20,
    ...more,
  });
  const gate = (args: Props) => ({ ...accessOf(host), ...args });

  beforeAll(async () => {
    host = await startHost({ suite });
    before = await host.fingerprint();
    await host.run("ip link add late0 type veth peer name late1");
    standing = await Driven.create("LeakFence", "standing", fence(["10.0.0.0/8"]));
    set = await Driven.create("TestGate", "set", gate({ part: "set", elements: ["203.0.113.2", "203.0.113.3"] }));
    object = await objectOf("standing");
    edited = await Driven.create("LeakFence", "edited", fence(["198.51.100.0/28"]));
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(async () => {
    for (const one of [edited, set, standing]) await one.delete();
    await host.run("ip link delete late0");
    const after = await host.fingerprint();
    await host.down();
    expect(after).toBe(before);
  });

  const objectOf = async (name: string) =>
    (await host.run(`basename /etc/drawbridge/nft/inet-drawbridge/50-leak-fence-${name}-*.nft .nft`)).stdout
      .trim()
      .slice("50-".length);
  /** Another network each time. */
  const edit = () => edited.up(fence([`198.51.100.${(++edits % 16) * 16}/28`]));
  const handles = async () =>
    (await host.run("for f in inet netdev; do nft -a list table $f drawbridge 2>/dev/null | head -n 1; done")).stdout;
  /** Loads what stands whole, and says what that has changed but for the order of objects. */
  const differsFromWhole = async () => {
    const listing = "for f in inet bridge netdev; do nft -s list table $f drawbridge 2>/dev/null; done | sort";
    const { stdout: found } = await host.run(listing);
    await host.run("drawbridge-host load");
    const { stdout: whole } = await host.run(listing);
    return found === whole ? "" : `${found}\n=====\n${whole}`;
  };
  const drift = async () => {
    closeConnections();
    return [await standing.refresh(), await set.refresh(), await edited.refresh()];
  };
  const none = [{}, {}, {}];

  test("what another program has loaded is loaded whole", async () => {
    await edit();
    const stood = await handles();
    await edit();
    expect(await handles()).toBe(stood);
    await host.run("echo another >/run/drawbridge/proven/program.netdev");
    await edit();
    const stands = await handles();
    expect(stands).not.toBe(stood);
    await edit();
    expect(await handles()).toBe(stands);
    expect(await drift()).toEqual(none);
  });

  test("creates, edits and deletes touch nothing else, and make what the whole text makes", async () => {
    await edit();
    const stood = await handles();
    for (let round = 0; round < 3; round++) {
      const [one, guard] = await Promise.all([
        Driven.create("LeakFence", "one", fence(["rfc1918", "ula"])),
        Driven.create("OutputGuard", "guard", { ...accessOf(host), ports: [7070], addresses: ["203.0.113.77"] }),
        edit(),
        set.up(gate({ part: "set", elements: ["203.0.113.2", `203.0.113.${10 + round}`] })),
      ]);
      await one.up(fence(["rfc1918"], { exceptions: [{ cidr: "10.1.2.3", direction: "to" }] }));
      await one.up(fence(["ula"], { mode: "log" }));
      expect(await drift()).toEqual(none);
      await Promise.all([one.delete(), guard.delete()]);
    }
    expect(await handles()).toBe(stood);
    expect(await drift()).toEqual(none);
    expect(await differsFromWhole()).toBe("");
  });

  test("the counters of what stands lose no hit, and those of what is edited keep theirs", async () => {
    await edit();
    const count = async () =>
      Number(/packets (\d+)/.exec((await host.run(`nft list counter inet drawbridge '${object}.to.10.0.0.0/8'`)).stdout)?.[1]);
    const counted = await count();
    const packets = 20_000;
    // One after the other, so that each of them meets the fence; what it drops at the device is an error for nobody.
    const sending = host.run(`perl -MSocket=:all -e '
      socket(my $s, AF_INET, SOCK_DGRAM, 0) or die; my $to = pack_sockaddr_in(4009, inet_aton("10.9.9.9"));
      for (1 .. ${packets}) { send($s, "hit", 0, $to) or $!{EPERM} or $!{ENOBUFS} or die "$!"; select undef, undef, undef, 0.005 if $_ % 20 == 0 }'`);
    let changes = 0;
    const sender = { isDone: false };
    const done = sending.then(() => (sender.isDone = true));
    while (!sender.isDone) {
      await edit();
      changes++;
    }
    await done;
    expect(changes).toBeGreaterThan(3);
    expect((await count()) - counted).toBe(packets);
  });

  /** What somebody does behind our back; and what of it another change puts right by itself. */
  const tamperings: Readonly<Record<string, string>> = {
    "a rule is deleted": `nft flush chain inet drawbridge STANDING.from`,
    "a rule is added": `nft add rule inet drawbridge STANDING accept`,
    "an element is deleted from the map that leads to the rules": `nft delete element inet drawbridge postrouting_oifname { eth0 }`,
    "an element is added to a set": `nft add element inet drawbridge office { 203.0.113.99 }`,
    "the table sleeps": `nft 'add table inet drawbridge { flags dormant; }'`,
    "a chain is added": `nft add chain inet drawbridge theirs`,
    "a table is deleted": `nft delete table netdev drawbridge`,
    "all tables are flushed, and as many changes made since as it takes for the generation that was remembered": `nft flush ruleset
      ${rememberNow("\\1 \\2")}`,
    "a rule is deleted, and what is remembered is of another boot with this generation": `nft flush chain inet drawbridge STANDING.from
      ${rememberNow("00000000-0000-4000-8000-000000000000 \\2")}`,
    "a rule is deleted, and what is remembered is of another network namespace with this generation": `nft flush chain inet drawbridge STANDING.from
      ${rememberNow("\\1 4026531840")}`,
  };

  test.each(Object.keys(tamperings))("%s: the next change of something else finds it", async (what) => {
    await edit();
    const stood = await handles();
    await host.run((tamperings[what] ?? "").replaceAll("STANDING", object));
    closeConnections();
    // The control: it is drift, for whoever looks.
    expect(await drift()).not.toEqual(none);
    await edit();
    expect(await handles()).not.toBe(stood);
    expect(await drift()).toEqual(none);
    await host.run("nft delete table ip noise 2>/dev/null || true");
  });

  test("the control: what is remembered of this boot, network namespace and generation is trusted", async () => {
    await edit();
    const stood = await handles();
    await host.run(`nft flush chain inet drawbridge ${object}.from\n${rememberNow("\\1 \\2")}`);
    await edit();
    expect(await handles()).toBe(stood);
    expect(await drift()).not.toEqual(none);
    await host.run("nft delete table ip noise; drawbridge-host load");
    expect(await drift()).toEqual(none);
  });

  test.each(["nothing else", "a change of another table"])(
    "a device that is made anew under its name has its rules again with the next change, behind %s",
    async (between) => {
      const late = await Driven.create("LeakFence", "late", fence(["10.0.0.0/8"], { uplink: "late0" }));
      const guard = { ...accessOf(host), ports: [7070], addresses: ["203.0.113.77"] };
      await edit();
      await host.run("ip link delete late0; ip link add late0 type veth peer name late1");
      // Its rules stand in the table of the IP layer only.
      const others = between === "nothing else" ? [] : [await Driven.create("OutputGuard", "guard", guard)];
      await edit();
      closeConnections();
      expect(await late.refresh()).toEqual({});
      expect((await host.run("nft list chain netdev drawbridge egress.late0")).stdout).toContain(
        `jump ${await objectOf("late")}`,
      );
      for (const one of [late, ...others]) await one.delete();
      expect(await drift()).toEqual(none);
    },
  );

  test("others who change their own tables all the time, between our changes and in their middle, cost a look and nothing else", async () => {
    await edit();
    const stood = await handles();
    await host.run("nft add table ip others");
    await edit();
    expect(await handles()).toBe(stood);
    await host.run(
      "setsid -f sh -c 'echo $$ >/run/others; while :; do nft add chain ip others one; nft delete chain ip others one; done' >/dev/null 2>&1",
    );
    for (let round = 0; round < 5; round++) await edit();
    await host.run("kill $(cat /run/others); rm /run/others; sleep 0.3; nft delete table ip others");
    expect(await drift()).toEqual(none);
    expect(await differsFromWhole()).toBe("");
  });

  test.each(["", "nft add rule inet drawbridge STANDING.leak accept"])(
    "a delta that nobody confirms is rolled back (somebody has changed something meanwhile: %p)",
    async (meanwhile) => {
      await edit();
      const { networks } = edited.inputs;
      const stood = await handles();
      jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async () => {
        await host.run(meanwhile.replaceAll("STANDING", object) || "true");
        for (let tries = 0; tries < 200; tries++) {
          if ((await host.run("drawbridge-host status")).stdout.includes("pending: nothing")) break;
          await sleep(200);
        }
      });
      await expect(edited.up(fence(["203.0.113.128/25"], { confirmDeadlineSeconds: 3 }))).rejects.toMatchObject({
        failure: { code: "undone" },
      });
      expect(edited.inputs["networks"]).toEqual(networks);
      expect((await handles()) === stood).toBe(meanwhile === "");
      expect(await drift()).toEqual(none);
      expect(await differsFromWhole()).toBe("");
    },
  );

  test("a host on which nothing can ask the kernel for its generation loads whole tables", async () => {
    await edit();
    await host.run("mv /usr/bin/perl /usr/bin/perl.away");
    try {
      const stood = await handles();
      await edit();
      expect(await handles()).not.toBe(stood);
      expect(await drift()).toEqual(none);
    } finally {
      await host.run("mv /usr/bin/perl.away /usr/bin/perl");
    }
    await edit();
  });
});
