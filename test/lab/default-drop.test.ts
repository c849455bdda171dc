import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven, type Props } from "./drive";

// In the lab a reboot is: the kernel forgets its rules, and the units' commands run.
const REBOOT = "nft flush ruleset; drawbridge-host settle; drawbridge-host load";
const [FRIEND, STRANGER] = ["203.0.113.2", "203.0.113.4"] as const;
const [FRIEND6, STRANGER6] = ["2001:db8:5::2", "2001:db8:5::4"] as const;
const [HERE6, OUTSIDE6] = ["2001:db8:6::1", "2001:db8:6::2"] as const;
const [SHOP, OTHER] = [7001, 7002] as const;
/** Where the tests' own SSH connections come from. */
const MANAGEMENT = { sources: ["198.18.0.0/16"] };

let host: LabHost;
let before: string;

beforeAll(async () => {
  host = await startHost();
  await host.run(`ip address add ${HERE6}/64 dev eth0 nodad`);
  await host.outside(
    [
      ...[FRIEND, STRANGER].map((address) => `ip address replace ${address}/32 dev labsw`),
      ...[`${OUTSIDE6}/64`, `${FRIEND6}/128`, `${STRANGER6}/128`].map(
        (address) => `ip address replace ${address} dev labsw nodad`,
      ),
    ].join("; "),
  );
  await host.run(`ip route add 2001:db8:5::/64 via ${OUTSIDE6}`);
  for (const port of [SHOP, OTHER]) {
    for (const version of [4, 6])
      await host.run(`setsid -f sh -c 'while :; do nc -${version} -N -l ${port} </dev/null; done' >/dev/null 2>&1 </dev/null`);
  }
  before = await host.fingerprint();
});
afterAll(async () => {
  const after = await host.fingerprint();
  closeConnections();
  await host.down();
  expect(after).toBe(before);
});

const make = (kind: string, name: string, args: Props) => Driven.create(kind, name, { ...accessOf(host), ...args });

/** Whether a connection from the address is taken. A listener of one connection after the other is away for a moment. */
async function connects(from: string, port: number): Promise<boolean> {
  const to = from.includes(":") ? HERE6 : host.address;
  const script = `for n in 1 2 3; do nc -z -w 1 -s ${from} ${to} ${port} && exit 0; sleep 0.2; done; exit 1`;
  return (await host.outside(script, { allowFailure: true })).code === 0;
}
const pings = async (from: string) =>
  (await host.outside(`ping -c 1 -W 1 -I ${from} ${from.includes(":") ? HERE6 : host.address}`, { allowFailure: true })).code ===
  0;

/** For as long as `work` lasts; the newest goes first. */
async function during(made: readonly Driven[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    for (const one of made.toReversed()) await one.delete();
  }
}

describe("input", () => {
  const input = (args: Props = {}) => make("DefaultDrop", "input", { hook: "input", management: MANAGEMENT, ...args });

  test("only what is allowed passes, both IP versions; without it everything does", async () => {
    for (const from of [FRIEND, STRANGER, FRIEND6, STRANGER6]) expect([from, await connects(from, SHOP)]).toEqual([from, true]);
    const gate = await input({ allow: [{ protocol: "tcp", ports: [SHOP], from: [FRIEND, FRIEND6], description: "the shop" }] });
    await during([gate], async () => {
      for (const from of [FRIEND, FRIEND6]) {
        expect([from, await connects(from, SHOP)]).toEqual([from, true]);
        expect([from, await connects(from, OTHER)]).toEqual([from, false]);
      }
      for (const from of [STRANGER, STRANGER6]) expect([from, await connects(from, SHOP)]).toEqual([from, false]);
      // Neighbour discovery works, for the ping does after the neighbours were forgotten.
      await host.run("ip neigh flush all; ip -6 neigh flush all");
      for (const from of [STRANGER, STRANGER6]) expect([from, await pings(from)]).toEqual([from, true]);
      expect(await gate.refresh()).toEqual({});
    });
    expect(await connects(STRANGER, OTHER)).toBe(true);
  });
});
