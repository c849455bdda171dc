import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

let host: LabHost;
let stack: Stack;
let before: string;
const PREFLIGHT = { DRAWBRIDGE_PREFLIGHT: "1" };

/** What the program declares, by the name of the case that TEST_CASE selects. */
const cases = () => {
  const make = (kind: string, name: string, own: string, way = hostText(host)) =>
    `new drawbridge.${kind}("${name}", { ${way}, ${own} });`;
  const [, knownKey = ""] = /("hostKey":"[^"]*")/.exec(hostText(host)) ?? [];
  return {
    peer: make("LeakFence", "fence", `uplink: "eth0", networks: ["198.18.0.0/24"]`),
    foreign: make("GuardedFile", "tool", `path: "/usr/local/bin/tool", mode: "0755", content: "#!/bin/sh\\n"`),
    user: make("SystemGroup", "team", `name: "team", members: ["nobody-here"]`),
    chain: make("UserOutputChain", "chain", `user: "nobody-here", allow: [{ to: "192.0.2.1", ports: [443] }]`),
    program: make("SudoRule", "rule", `users: ["alice"], commands: [{ path: "/home/alice/tool" }]`),
    key: make(
      "LeakFence",
      "fence",
      `uplink: "eth0", networks: ["ula"]`,
      hostText(host).replace(`${knownKey},`, "").replace(`,${knownKey}`, ""),
    ),
    // By its literal name, and before the group itself: the engine asks about one after the other.
    literal: [
      make("GuardedFile", "file", `path: "/usr/local/bin/ours", mode: "0750", group: "crew", content: "#!/bin/sh\\n"`),
      make("SudoRule", "rule", `users: ["alice"], commands: [{ path: "/usr/bin/id" }], runAsGroup: "crew"`),
      make("SystemGroup", "crew", `name: "crew", members: ["alice"]`),
    ].join("\n"),
    other: [
      make("GuardedFile", "file", `path: "/usr/local/bin/ours", mode: "0750", group: "cruw", content: "#!/bin/sh\\n"`),
      make("SystemGroup", "crew", `name: "crew"`),
    ].join("\n"),
    order: [
      make("UserOutputChain", "chain", `group: "crew", allow: [{ to: "192.0.2.1", ports: [443] }]`),
      make("SystemGroup", "crew", `name: "crew"`),
    ].join("\n"),
    good: [
      make("LeakFence", "fence", `uplink: "eth3", networks: ["ula"]`),
      `const bridge = ${make("Bridge", "bridge", `name: "br7"`)}`,
      make("BridgePort", "port", `interface: "eth0.7", bridge: bridge.name`),
      `const team = ${make("SystemGroup", "team", `name: "team", members: ["alice"]`)}`,
      make("GuardedFile", "file", `path: "/usr/local/bin/ours", mode: "0750", group: team.name, content: "#!/bin/sh\\n"`),
      make("SudoRule", "rule", `users: ["alice"], commands: [{ path: "/usr/bin/id" }]`),
    ].join("\n"),
    forward: [
      `const guests = ${make("Allow", "guests", `hook: "forward", in: "virbr1"`)}`,
      make("DefaultDrop", "forward", `hook: "forward", allow: [{ in: "virbr0" }]`).replace(/\);$/, ", { dependsOn: [guests] });"),
    ].join("\n"),
    worse: make("LeakFence", "fence", `uplink: "eth0", networks: ["198.18.0.0/24"]`),
  };
};
const preview = (name: string, env = {}) => stack.run(["preview"], { env: { TEST_CASE: name, HOME: stack.folder, ...env } });
const count = (text: string, part: string) => text.split(part).length - 1;

beforeAll(async () => {
  host = await startHost();
  await host.run(
    "useradd -m alice; printf 'theirs\\n' >/usr/local/bin/tool; install -o alice -m 755 /usr/bin/id /home/alice/tool",
  );
  const program = Object.entries(cases()).map(([name, text]) => `if (process.env.TEST_CASE === "${name}") {\n${text}\n}`);
  stack = await Stack.create(program.join("\n"));
  before = await host.fingerprint();
});
afterAll(async () => {
  stack.dispose();
  await host.down();
});

test.each([
  { name: "peer", property: "exceptions", reason: "where this SSH connection comes from" },
  { name: "foreign", property: "adopt", reason: "/usr/local/bin/tool is there already" },
  { name: "user", property: "members", reason: "there is no user nobody-here on this host" },
  { name: "chain", property: "user", reason: "there is no user nobody-here on this host" },
  { name: "other", property: "group", reason: "there is no group cruw on this host" },
  // Rules are loaded before groups are made, so `up` refuses it too.
  { name: "order", property: "group", reason: "give its output `name`, so that it comes first" },
  { name: "program", property: "commands", reason: "who could put another program in the place of /home/alice/tool" },
  { name: "key", property: "connection.hostKey", reason: "[host-key]" },
])("a preview that asks names what up would refuse, with its property: $name", async ({ name, property, reason }) => {
  const { code, text } = await preview(name, PREFLIGHT);
  expect([code === 0, text]).toEqual([false, expect.stringContaining(`property ${property} `)]);
  expect(text).toContain(reason);
});

test("a plain preview asks nobody, and says so once", async () => {
  for (const name of ["key", "good"]) {
    const { code, text } = await preview(name);
    expect(text).toMatch(/lines come: \+ /);
    expect([
      code,
      count((text.split("Diagnostics:")[1] ?? "").split("Resources:")[0] ?? "", "this preview asks no host"),
    ]).toEqual([0, 1]);
  }
});

test("a group that the same program makes is there, in whatever order the engine comes to them; and up takes it so", async () => {
  expect(await preview("literal", PREFLIGHT)).toMatchObject({ code: 0 });
  expect(await host.fingerprint()).toBe(before);
  const up = await stack.run(["up", "--yes", "--skip-preview"], { env: { TEST_CASE: "literal" } });
  expect([up.code, up.text]).toEqual([0, up.text]);
  await stack.destroy();
  expect(await host.fingerprint()).toBe(before);
  expect((await stack.run(["up", "--yes", "--skip-preview"], { env: { TEST_CASE: "order" } })).text).toContain(
    "give its output `name`, so that it comes first",
  );
  await stack.destroy();
});

test("what up would take passes, with what is awaited, and the host is left as it was; then up makes it", async () => {
  const { code, text } = await preview("good", PREFLIGHT);
  expect([code, text]).toEqual([0, expect.stringContaining("uplink: there is no interface eth3 on this host yet")]);
  expect(text).toContain('Did you mean "eth0"?');
  expect(text).not.toContain("there is no bridge br7");
  expect(text).not.toContain("this preview asks no host");
  expect(await host.fingerprint()).toBe(before);

  const up = await stack.run(["up", "--yes", "--skip-preview"], { env: { TEST_CASE: "good" } });
  expect([up.code, up.text]).toEqual([0, up.text]);
  const standing = await host.fingerprint();
  const worse = await preview("worse", PREFLIGHT);
  expect([worse.code === 0, worse.text]).toEqual([false, expect.stringContaining("exceptions: the fence would cut off")]);
  expect(await host.fingerprint()).toBe(standing);
});

test("a default drop on forward names the bridges of others whose way it closes, before anything is applied and when it is", async () => {
  await host.run("for name in docker0 virbr0 virbr1; do ip link add $name type bridge; done");
  const warning = "allow: does not name docker0, which is a bridge of Docker's: containers there open no connection";
  const { code, text } = await preview("forward", PREFLIGHT);
  expect([code, text]).toEqual([0, expect.stringContaining(warning)]);
  expect(text).not.toContain("does not name virbr");
  const up = await stack.run(["up", "--yes", "--skip-preview"], { env: { TEST_CASE: "forward" } });
  expect([up.code, up.text]).toEqual([0, expect.stringContaining(warning)]);
  expect(up.text).not.toContain("does not name virbr");
  await stack.destroy();
  await host.run("for name in docker0 virbr0 virbr1; do ip link del $name; done");
});
