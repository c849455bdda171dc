import type * as pulumi from "@pulumi/pulumi";
import { lifecycleOf } from "../../src/providers/lifecycle";
import { kinds } from "../../src/providers/registry";

/** What check says of arguments that an article's mistake would need. */
async function refusal(kind: string, args: Record<string, unknown>): Promise<string[]> {
  const spec = kinds.get(kind);
  if (!spec) throw new Error(`no kind ${kind}`);
  const { check } = lifecycleOf(spec) as Required<pulumi.dynamic.ResourceProvider>;
  const news = { connection: { host: "192.0.2.1" }, ...args, __origin: { project: "p", stack: "s", name: JSON.stringify(args) } };
  const { failures = [] } = await check({}, news);
  return failures.map(({ property, reason }) => `${property}: ${reason}`);
}

const fence = { uplink: "eth0", networks: ["rfc1918"] };
const chain = (more: Record<string, unknown>, allow: Record<string, unknown> = {}) => ({
  user: "myself",
  allow: [{ to: "192.168.2.2", ports: [20002], ...allow }],
  ...more,
});
const ike = { hook: "input", protocol: "udp", ports: [500], sourcePorts: [500] };
const viewer = { users: ["myself"], commands: [{ path: "/usr/bin/remote-viewer", args: ["--"] }] };

// What a host has to be looked at for (a bridge for an uplink, a kernel without IPsec, a user who does not exist) is in test/lab.
describe("a mistake of the articles cannot be written", () => {
  test.each([
    ["an empty list, which fences nothing", "LeakFence", { ...fence, networks: [] }, /^networks: must name at least one/],
    ["a network with host bits", "LeakFence", { ...fence, networks: ["10.0.1.1/24"] }, /did you mean "10\.0\.1\.0\/24"/],
    ["a shell's variable in a prefix", "LeakFence", { ...fence, networks: ["$10.0.1.1/24"] }, /neither an IPv4 nor an IPv6/],
    ["a prefix whose length is missing", "IpsecPolicyDrop", { networks: ["0.0.0.0/"] }, /^networks\[0\]: the length/],
    ["a prefix without its length in an allow", "Allow", { ...ike, from: ["0.0.0.0/"] }, /^from\[0\]: the length/],
    ["a shell's variable in an allow", "Allow", { ...ike, from: ["$10.0.1.1/24"] }, /^from\[0\]: .*neither an IPv4 nor an IPv6/],
    [
      "a network where one server is meant",
      "Allow",
      { ...ike, to: ["10.0.1.1/24"] },
      /^to\[0\]: .*did you mean "10\.0\.1\.0\/24"/,
    ],
    ["a default drop that nobody could come through any more", "DefaultDrop", { hook: "input" }, /^management: must say where/],
    [
      "an exception for both directions at once",
      "LeakFence",
      { ...fence, exceptions: [{ cidr: "10.0.5.0/24" }] },
      /^exceptions\[0\]\.direction: /,
    ],
    [
      "a typographic dash where -- is meant",
      "SudoRule",
      { users: ["myself"], commands: [{ path: "/usr/bin/remote-viewer", args: ["\u2014", "spice://mysrv?tls-port=20002"] }] },
      /^commands\[0\]\.args\[0\]: must be printable ASCII/,
    ],
    [
      "two names where one interface is meant",
      "LeakFence",
      { ...fence, uplink: "eth0 br0" },
      /^uplink: must be an interface name/,
    ],
    ["a user by number", "UserOutputChain", chain({ user: "1021" }), /^user: .*must be a user or group name/],
    ["a server by name", "UserOutputChain", chain({}, { to: "mysrv.anraconc.de" }), /^allow\[0\]\.to: .*neither/],
    [
      "a time zone with daylight saving",
      "UserOutputChain",
      chain({ utcOffset: "Europe/Berlin" }),
      /^utcOffset: .*daylight saving/,
    ],
    [
      "a weekday that is none",
      "UserOutputChain",
      chain({}, { when: { days: ["Mon"] } }),
      /^allow\[0\]\.when\.days\[0\]: must be one of Sunday/,
    ],
    ["everything allowed by leaving the ports out", "UserOutputChain", chain({}, { ports: [] }), /^allow\[0\]\.ports: /],
    [
      "a folder of programs for sudo",
      "SudoRule",
      { ...viewer, commands: [{ path: "/usr/bin/" }] },
      /^commands\[0\]\.path: .*folder/,
    ],
    [
      "an argument that sudo would split",
      "SudoRule",
      { ...viewer, commands: [{ path: "/usr/bin/id", args: ["a b"] }] },
      /white space/,
    ],
    ["a priority that the kernel wraps", "Bridge", { name: "br0", priority: 65536 }, /^priority: /],
  ])("%s", async (_title, kind, args, reason) => {
    expect(await refusal(kind, args)).toEqual([expect.stringMatching(reason)]);
  });

  test("and what is right is taken", async () => {
    expect(await refusal("LeakFence", fence)).toEqual([]);
    expect(await refusal("IpsecPolicyDrop", { networks: ["10.77.0.0/16"] })).toEqual([]);
    expect(await refusal("UserOutputChain", chain({ utcOffset: "+01:00" }, { when: { days: ["Monday"] } }))).toEqual([]);
    expect(await refusal("SudoRule", viewer)).toEqual([]);
  });
});
