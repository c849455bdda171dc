import { setTimeout as sleep } from "node:timers/promises";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven, type Props } from "../lab/drive";
import { between, Flood, FLOODED, lostIn } from "./flood";

// Promise 5: there is no moment at which a default drop is open, and none at which what it allows itself is closed.

const MANAGEMENT = { sources: ["198.18.0.0/15"] };
const OPEN = { protocol: "udp", ports: [4009], to: [FLOODED.open] };
const others = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ protocol: "tcp", ports: [1000 + index], to: [`192.0.2.${index + 1}`] }));

/** What each property of those on `output` and `forward` is changed to. */
const EDITS: readonly Props[] = [
  { allow: [...others(40), OPEN] },
  { allow: [OPEN, { service: "https", to: ["192.0.2.0/24", "198.51.100.0/24"], log: true }] },
  { allow: [OPEN], final: "reject" },
  { allow: [OPEN], established: false },
  { allow: [OPEN], basics: { echo: false, icmpErrors: false } },
  { allow: [OPEN] },
];

let host: LabHost;
let flood: Flood;

beforeAll(async () => {
  host = await startHost();
  flood = new Flood(host);
  await flood.watch();
  await host.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  const guest = await host.guest({
    name: "one",
    addresses: ["10.0.1.2/24", "fd00:1::2/64"],
    gateway: ["10.0.1.1", "fd00:1::1"],
    attach: { hostAddresses: ["10.0.1.1/24", "fd00:1::1/64"] },
  });
  await flood.packets("own", host);
  await flood.packets("guest", guest);
});
afterAll(async () => {
  closeConnections();
  await flood.end();
  await host.down();
});

const args = (hook: string, more: Props = {}): Props => ({
  ...accessOf(host),
  hook,
  ...(hook === "output" ? { management: MANAGEMENT } : {}),
  confirmDeadlineSeconds: 60,
  allow: [OPEN],
  ...more,
});

async function during(work: () => Promise<unknown>) {
  const before = await flood.count();
  await work();
  // A moment more, for what was open only just then.
  await sleep(300);
  return between(before, await flood.count());
}

/** Nothing comes through although every flood runs, and what is allowed does. */
async function shut(what: string, work: () => Promise<unknown>): Promise<void> {
  const { sent, through } = await during(work);
  expect(FLOODED.closed.map((address) => `${what}: ${through[address]} to ${address}`)).toEqual(
    FLOODED.closed.map((address) => `${what}: 0 to ${address}`),
  );
  for (const [name, count] of Object.entries(sent)) expect({ what, name, ran: count > 50 }).toMatchObject({ ran: true });
  expect(through[FLOODED.open]).toBeGreaterThan(0);
}

test("nothing comes through whatever is done to default drops that stand, and to what is allowed and denied beside them", async () => {
  const open = await during(() => sleep(200));
  for (const address of [...FLOODED.closed, FLOODED.open])
    expect({ address, count: open.through[address] }).not.toMatchObject({ count: 0 });

  const both = await Promise.all(["output", "forward"].map((hook) => Driven.create("DefaultDrop", hook, args(hook))));
  await shut("nothing is done", () => sleep(500));
  for (const [index, more] of EDITS.entries())
    await shut(`edit ${index}`, () => Promise.all(both.map((one, at) => one.up(args(at === 0 ? "output" : "forward", more)))));

  let set: Driven | undefined;
  let allows: readonly Driven[] = [];
  let denies: readonly Driven[] = [];
  const hooks = ["output", "forward"];
  await shut("allows come", async () => {
    allows = await Promise.all(
      hooks.map((hook) =>
        Driven.create("Allow", hook, { ...accessOf(host), hook, protocol: "udp", ports: [4009], to: { set: "elsewhere" } }),
      ),
    );
  });
  await shut("the set that they name comes", async () => {
    set = await Driven.create("AddressSet", "elsewhere", { ...accessOf(host), name: "elsewhere", addresses: ["192.0.2.1"] });
  });
  await shut("the set is edited", () =>
    set
      ? set.up({ ...accessOf(host), name: "elsewhere", addresses: ["192.0.2.2", "198.51.100.0/24"] })
      : Promise.reject(new Error("no set")),
  );
  await shut("denies come", async () => {
    denies = await Promise.all(
      hooks.map((hook) => Driven.create("Deny", hook, { ...accessOf(host), hook, to: ["192.0.2.66"], log: true })),
    );
  });
  await shut("denies go", () => Promise.all(denies.map((one) => one.delete())));
  await shut("the loader runs, as boot and udev call it", () => host.run("drawbridge-host load"));
  await shut("somebody else's table comes and goes", () => host.run("nft add table ip others; nft delete table ip others"));
  await shut("one table is loaded whole, and no other", async () => {
    await host.run("nft add chain inet drawbridge theirs");
    const other = await Driven.create("Allow", "other", { ...accessOf(host), hook: "output", ...OPEN, ports: [4010] });
    expect((await host.run("nft list ruleset")).stdout).not.toMatch(/beside|dormant|theirs/);
    await other.delete();
  });
  await shut("allows go", () => Promise.all(allows.map((one) => one.delete())));
  await shut("the set goes", () => (set ? set.delete() : Promise.reject(new Error("no set"))));
  await shut("a change is refused", () =>
    expect(Driven.create("DefaultDrop", "second", args("output"))).rejects.toThrow("has a default drop already"),
  );

  for (const one of both) expect(await one.refresh()).toEqual({});
  for (const one of both) await one.delete();
  const after = await during(() => sleep(200));
  for (const address of FLOODED.closed) expect({ address, count: after.through[address] }).not.toMatchObject({ count: 0 });
});

const loads = (command: string) => () => host.run(`for n in $(seq 20); do ${command}; done`);

test("no packet of what a default drop allows itself is lost by whole loads, nor by changes of other entries", async () => {
  const allowed = (count: number) => args("output", { allow: [...others(count), OPEN] });
  const drop = await Driven.create("DefaultDrop", "output", allowed(10));
  const lost = async (what: string, work: () => Promise<unknown>) =>
    expect({ what, ...(await lostIn(host, work)) }).toMatchObject({ lost: 0 });
  await lost("whole loads", loads("drawbridge-host load"));
  await lost("entries come", () => drop.up(allowed(50)));
  await lost("entries go", () => drop.up(allowed(5)));

  // The control: of very many, entries are elements of a map, which is without them in the moment in which it goes. Where the sender has no processor of its own, not every round loses one.
  await drop.up(allowed(100));
  expect((await host.run("nft list map inet drawbridge drop.output.host.to-ipv4-32.port")).stdout).toContain(FLOODED.open);
  let inMoments = 0;
  for (let round = 0; inMoments === 0 && round < 10; round += 1)
    inMoments = (await lostIn(host, loads("drawbridge-host load"))).lost;
  expect(inMoments).toBeGreaterThan(0);

  expect(await drop.refresh()).toEqual({});
  await drop.delete();
}, 120_000);
