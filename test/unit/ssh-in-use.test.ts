import type { Service } from "../../src/core/files/snapshot";
import { defaultDrop, refuseDefaultDrop } from "../../src/core/netfilter/default-drop";
import { deny, refuseDeny } from "../../src/core/netfilter/deny";
import { surveyOf } from "./survey";

const PEER: Service = { what: "peer", address: "198.51.100.3", device: "eth0", source: "192.0.2.1" };
const PEER6: Service = { what: "peer", address: "2001:db8:5::3", device: "eth0", source: "2001:db8::1" };

const host = surveyOf({ services: [PEER], sshPort: 22 });
const host6 = surveyOf({ services: [PEER6], sshPort: 2222 });

const properties = (problems: readonly { property: string }[]) => problems.map(({ property }) => property).join();
const ofDrop = (args: object, survey = host) =>
  properties(refuseDefaultDrop(defaultDrop.parse({ hook: "input", ...args }), survey));
const ofDeny = (args: object, survey = host) => properties(refuseDeny(deny.parse({ hook: "input", ...args }), survey));

const HERE = { sources: ["198.51.100.0/24"] };
const ELSEWHERE = { sources: ["203.0.113.0/24"] };

test.each([
  ["its management is where we come from", { management: HERE }, ""],
  ["somebody else is its management", { management: ELSEWHERE }, "management.sources"],
  ["another port is its management's", { management: { ...HERE, port: 2222 } }, "management.port"],
  ["`force`", { management: ELSEWHERE, force: true }, ""],
  ["a rehearsal", { management: ELSEWHERE, mode: "log" }, ""],
  ["the hook forward", { hook: "forward" }, ""],
  ["an allow covers us", { management: ELSEWHERE, allow: [{ service: "ssh", from: ["198.51.100.3"] }] }, ""],
  ["an allow of all that comes in by our device", { management: ELSEWHERE, allow: [{ in: "eth0" }] }, ""],
  ["an allow to our address of the host", { management: ELSEWHERE, allow: [{ to: ["192.0.2.1"] }] }, ""],
  [
    "an allow that ends",
    { management: ELSEWHERE, allow: [{ service: "ssh", from: ["198.51.100.3"], until: "2200-01-01T00:00:00Z" }] },
    "management.sources",
  ],
  ["an allow of another device", { management: ELSEWHERE, allow: [{ in: "eth1" }] }, "management.sources"],
  ["an allow of another port", { management: HERE, allow: [{ service: "dns" }] }, ""],
  [
    "an allow by our port, which nobody knows",
    { management: ELSEWHERE, allow: [{ protocol: "tcp", sourcePorts: [50000] }] },
    "management.sources",
  ],
  [
    "an allow by a set of somebody's",
    { management: ELSEWHERE, allow: [{ service: "ssh", from: { set: "office" } }] },
    "management.sources",
  ],
  ["on output, answers of new connections", { hook: "output", management: ELSEWHERE }, ""],
  [
    "on output, where no connection is followed",
    { hook: "output", management: ELSEWHERE, established: false },
    "management.sources",
  ],
  [
    "on output, an allow of what goes to us",
    { hook: "output", management: ELSEWHERE, established: false, allow: [{ to: ["198.51.100.0/24"] }] },
    "",
  ],
])("a default drop: %s", (_what, args, expected) => expect(ofDrop(args)).toBe(expected));

test("a default drop is refused with the line that is missing", () => {
  const reasons = [{ management: ELSEWHERE }, { management: { ...HERE, port: 2222 } }].flatMap((args) =>
    refuseDefaultDrop(defaultDrop.parse({ hook: "input", ...args }), host).map(({ reason }) => reason),
  );
  expect(reasons).toEqual([
    'this SSH connection comes from 198.51.100.3, and would be cut off; add "198.51.100.3", or say `force: true` to have the change rolled back if nobody comes through',
    "this SSH connection goes to port 22 of the host, and would be cut off; write `port: 22`, or say `force: true` to have the change rolled back if nobody comes through",
  ]);
});

test.each([
  ["us", { from: ["198.51.100.0/28"] }, "from"],
  ["all TCP", { protocol: "tcp" }, "protocol"],
  ["our port", { protocol: "tcp", ports: ["20-25"] }, "protocol"],
  ["all that comes in by our device", { in: "eth0" }, "in"],
  ["SSH to our address of the host", { service: "ssh", to: ["192.0.2.1"] }, "to"],
  ["us, until some day", { from: ["198.51.100.3"], until: "2200-01-01T00:00:00Z" }, "from"],
  ["us, which has ended", { from: ["198.51.100.3"], until: "2020-01-01T00:00:00Z" }, "from"],
  ["somebody else", { from: ["198.51.100.4"] }, ""],
  ["another address of the host", { to: ["192.0.2.2"] }, ""],
  ["another port", { protocol: "tcp", ports: [25] }, ""],
  ["UDP", { protocol: "udp" }, ""],
  ["a port of ours that nobody knows", { protocol: "tcp", sourcePorts: [50000] }, ""],
  ["a set of somebody's", { from: { set: "suspects" } }, ""],
  ["us in a rehearsal", { from: ["198.51.100.3"], mode: "log" }, ""],
  ["us by `force`", { from: ["198.51.100.3"], force: true }, ""],
  ["us on forward", { hook: "forward", from: ["198.51.100.3"] }, ""],
  ["what goes to us", { hook: "output", to: ["198.51.100.3"] }, "to"],
  ["what comes from us, on output", { hook: "output", from: ["198.51.100.3"] }, ""],
  ["what leaves by our device", { hook: "output", out: "eth0" }, "out"],
  ["answers of sshd", { hook: "output", protocol: "tcp", sourcePorts: [22] }, "protocol"],
])("a deny of %s", (_what, args, expected) => expect(ofDeny(args)).toBe(expected));

test("a deny is refused with its rule", () => {
  const [problem] = refuseDeny(deny.parse({ hook: "input", from: ["2001:db8:5::/64", "2001:db8:7::1", "192.0.2.9"] }), host6);
  expect(problem).toEqual({
    property: "from",
    reason:
      'the rule "20 deny.002" would drop this SSH connection, which comes from 2001:db8:5::3; narrow it, or say `force: true` to have the change rolled back if nobody comes through',
  });
});

test("who is not reached by SSH, or does not say how, refuses nothing that may be right", () => {
  expect(ofDrop({ management: ELSEWHERE }, surveyOf({}))).toBe("");
  expect(ofDeny({ protocol: "tcp" }, surveyOf({}))).toBe("");
  // A host that does not say to which port we go.
  const terse = surveyOf({ services: [{ ...PEER, source: undefined }] });
  expect(ofDrop({ management: { ...HERE, port: 2222 } }, terse)).toBe("");
  expect(ofDrop({ management: ELSEWHERE }, terse)).toBe("management.sources");
  expect(ofDeny({ service: "ssh" }, terse)).toBe("");
  expect(ofDeny({ protocol: "tcp" }, terse)).toBe("protocol");
});

test("the port of the management is one port, not a range", () => {
  const of = (port: unknown) => defaultDrop.safeParse({ hook: "input", management: { ...HERE, port } }).success;
  expect([of(2222), of("22-25"), of(0)]).toEqual([true, false, false]);
});
