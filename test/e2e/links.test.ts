import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

let host: LabHost;
let stack: Stack;
let before: string;

beforeEach(async () => {
  host = await startHost();
});
afterEach(async () => {
  stack.dispose();
  await host.down();
});

const program = (text: string) => text.replaceAll("HOST", hostText(host));
const portsOf = async (bridge: string) =>
  (await host.run(`ip -br link show master ${bridge} | cut -d' ' -f1`)).stdout.split("\n").filter((line) => line !== "");

test("a bridge and its ports, from preview to destroy", async () => {
  await host.run("for n in 0 1; do ip tuntap add tap$n mode tap; ip link set tap$n up; ip link set tap$n down; done");
  before = await host.fingerprint();
  const guests = (name: string, ageing: number) =>
    program(`
      const bridge = new drawbridge.Bridge("guests", { HOST, name: "${name}", mac: "02:00:5e:00:53:01", ageingTimeSeconds: ${ageing} });
      for (const tap of ["tap0", "tap1", "tap9"])
        new drawbridge.BridgePort(tap, { HOST, bridge: bridge.name, interface: tap, isolated: true });`);
  stack = await Stack.create(guests("br0", 60));
  const preview = await stack.preview();
  expect(preview).toMatch(/14 ageing_time *: "link br0 ageing_time 6000"/);
  expect(preview).toMatch(/21 disable_ipv6 *: "link br0 disable_ipv6 1"/);
  expect(preview).toMatch(/10 isolated *: "link tap0 isolated 1"/);
  expect(await host.fingerprint()).toBe(before);

  const up = await stack.up();
  expect(up).toContain("+ 5 created");
  // A tap that is not there is said, and no failure.
  expect(up).toContain("there is no interface tap9 on this host yet; until it appears br0 goes without it");
  expect(await portsOf("br0")).toEqual(["tap0", "tap1"]);
  const standing = await host.fingerprint();
  expect(await stack.up()).toContain("5 unchanged");
  expect(await stack.refresh()).toContain("5 unchanged");
  await stack.expect("preview", "--refresh", "--expect-no-changes");
  expect(await host.fingerprint()).toBe(standing);

  stack.program(guests("br0", 10));
  const edit = await stack.preview();
  expect(edit).toMatch(/~ 14 ageing_time *: "link br0 ageing_time 6000" => "link br0 ageing_time 1000"/);
  expect(await stack.up()).toContain("~ 1 updated");

  // Another name: the new bridge gets the ports of the old one, which goes.
  stack.program(guests("br1", 10));
  await stack.up();
  expect(await portsOf("br1")).toEqual(["tap0", "tap1"]);
  expect((await host.run("ip link show br0", { allowFailure: true })).code).not.toBe(0);
  expect(await stack.refresh()).toContain("5 unchanged");

  expect(await stack.destroy()).toContain("- 5 deleted");
  expect(await host.fingerprint()).toBe(before);
});

test("what is there is refused by name, adopted, given back, and what others changed meanwhile is named", async () => {
  await host.run("ip link add br0 type bridge ageing_time 7000 priority 9 && ip link set br0 up");
  before = await host.fingerprint();
  const taken = (adopt: string) =>
    program(`new drawbridge.Bridge("mine", { HOST, name: "br0", ageingTimeSeconds: 60, priority: 100 ${adopt} });`);
  stack = await Stack.create(taken(""));
  const refused = await stack.run(["up", "--yes", "--skip-preview"]);
  expect(refused.code).not.toBe(0);
  expect(refused.text).toContain(
    "the bridge br0 is there already and not ours; `adopt: true` takes it over, and delete puts back what was found",
  );
  expect(await host.fingerprint()).toBe(before);
  stack.program(taken(", adopt: true"));
  await stack.up();
  expect(await stack.refresh()).toContain("2 unchanged");
  await host.run("ip link set br0 type bridge ageing_time 5000");
  const destroyed = await stack.destroy();
  expect(destroyed).toMatch(/left as it is, since others have changed it:\s+br0 ageing_time: it is 5000 now, not 6000/);
  await host.run("ip link set br0 type bridge ageing_time 7000");
  expect(await host.fingerprint()).toBe(before);
});

test("addresses: the resource's line says where they persist", async () => {
  await host.run("ip route delete default");
  before = await host.fingerprint();
  stack = await Stack.create(
    program(`new drawbridge.Bridge("mine", { HOST, name: "br0", addresses: ["192.0.2.1/24"], gateway: "192.0.2.254" });`),
  );
  const up = await stack.up();
  expect(up).toMatch(/its addresses persist in \/etc\/network\/interfaces\.d\/drawbridge-bridge-mine-[0-9a-f]{8} \(ifupdown\)/);
  expect((await host.run("ping -n -c 1 -W 5 192.0.2.1")).code).toBe(0);
  await stack.destroy();
  expect(await host.fingerprint()).toBe(before);
});
