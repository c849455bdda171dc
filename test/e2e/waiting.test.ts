import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

let host: LabHost;
let stack: Stack;
const make = (kind: string, name: string, own: string) => `new drawbridge.${kind}("${name}", { ${hostText(host)}, ${own} });`;
const allow = `allow: [{ to: "192.0.2.1", ports: [443] }]`;
const program = (nic: string, bridge: string, uplink: string) =>
  [
    make("LeakFence", "fence", `uplink: "${nic}", networks: ["rfc1918"]`),
    make(
      "LeakFence",
      "behind",
      `uplink: { interface: "${bridge === "br0" ? "tap0" : "tap9"}", bridge: "${bridge}" }, networks: ["ula"]`,
    ),
    make("IpsecPolicyDrop", "tunnel", `networks: ["10.9.0.0/16"], interface: "${nic}"`),
    make("BridgePort", "port", `interface: "tap1", bridge: "${bridge}"`),
    make("Bridge", "bridge", `name: "br7", uplink: "${uplink}"`),
  ].join("\n");
const up = () => stack.expect("up", "--yes", "--skip-preview");
const refresh = () => stack.expect("refresh", "--yes", "--skip-preview");
/** What is said of one resource: its block of the CLI's diagnostics. */
const saidOf = (text: string, name: string) =>
  (text.split("Diagnostics:")[1] ?? "").split(/^ {2}(?=\S)/m).find((block) => block.includes(`(${name})`)) ?? "";

beforeAll(async () => {
  host = await startHost();
  await host.run(
    "ip link add eth1 type veth peer name eth2; ip link add br0 type bridge; for n in 0 1; do ip tuntap add tap$n mode tap; done; ip link set tap0 master br0; useradd alice",
  );
  stack = await Stack.create(program("eth3", "br1", "eth3"));
});
afterAll(async () => {
  stack.dispose();
  await host.down();
});

test("what is named and not there is said of each kind, by up, refresh and status, with what is there and what may be meant", async () => {
  // Near eth0, eth1 and eth2; near br0.
  const waits = {
    fence: "uplink: there is no interface eth3 on this host yet; until it appears the fence stops nothing. Its interfaces: br0, ",
    behind: "uplink.bridge: there is no bridge br1 on this host yet; until it appears the fence stops nothing. Its bridges: br0",
    tunnel: "interface: there is no interface eth3 on this host yet; until it appears nothing is dropped.",
    port: "bridge: there is no bridge br1 on this host yet; until it appears tap1 is no port.",
    bridge: "uplink: there is no interface eth3 on this host yet; until it appears br7 goes without it.",
  };
  for (const text of [await up(), await refresh()]) {
    for (const [name, said] of Object.entries(waits)) expect(saidOf(text, name)).toContain(said);
    expect(saidOf(text, "fence")).toContain('Did you mean "eth0"?');
    expect(saidOf(text, "port")).toContain('Did you mean "br0"?');
    expect(saidOf(text, "behind")).toContain("uplink: there is no interface tap9 on this host yet");
    expect(text).not.toContain("warning");
  }
  const status = (await host.run("drawbridge-host status")).stdout;
  expect(status.match(/^ {4}waits for the interface eth3$/gm)).toHaveLength(4);
  expect(status.match(/^ {4}waits for the bridge br1$/gm)).toHaveLength(1);
});

test("and no longer, once it is there", async () => {
  stack.program(program("eth2", "br0", "eth1"));
  for (const text of [await up(), await refresh()]) expect(text).not.toContain("on this host yet");
  expect((await host.run("drawbridge-host status")).stdout).not.toContain("waits for");
});

test("an OutputGuard in the same run as a user's chain is no reason for an alarm; none at all is", async () => {
  const chain = make("UserOutputChain", "alice", `user: "alice", ${allow}`);
  const guard = make("OutputGuard", "guard", "ports: [443]");
  stack.program(chain + guard);
  expect(await up()).not.toContain("none stands on this host");
  stack.program(chain.replaceAll("443", "444"));
  await up();
  stack.program(chain);
  expect(saidOf(await up(), "alice")).toContain(
    "it opens ways through an OutputGuard or a DefaultDrop on output, and none stands on this host",
  );
  await host.run("userdel alice");
  expect(await refresh()).toContain("there is no user alice on this host");
  expect((await host.run("drawbridge-host status")).stdout).toContain("waits for the user alice");
});
