import { packFiles } from "../../dist/host/tar";
import { RemoteHost } from "../../dist/host/remote-host";
import { kinds } from "../../src/providers/registry";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven, type Props } from "./drive";

let host: LabHost;

beforeEach(async () => {
  host = await startHost();
});
afterEach(() => host.down());

const on = (own: Props): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, ...own });

const OWNER = "00112233445566778899aabbccddeeff";
let transactions = 0;
const transactionId = () => String(transactions).padStart(32, "0");

/** The files of several resources as one transaction, as the near side sends it. */
async function requestOf(resources: readonly { kind: string; args: Props }[]): Promise<Buffer> {
  transactions += 1;
  const manifest: string[] = [];
  const entries = resources.flatMap(({ kind, args }, index) => {
    const spec = kinds.get(kind);
    if (!spec) throw new Error(`no kind ${kind}`);
    const object = `test-${index}`;
    return spec.files({ object, owner: OWNER, from: "tests/lab" }, spec.schema.parse(args), "ifupdown").map((file) => {
      manifest.push(`${index} put ${file.mode} ${file.path} ${object} ${OWNER} - -\n`);
      return [`files${file.path}`, file.text] as const;
    });
  });
  return packFiles(
    new Map([
      ...entries,
      ["request", `id ${transactionId()}\ndeadline 20\nholder tests\n`],
      ["held", ""],
      ["manifest", manifest.join("")],
    ]),
  );
}

async function apply(resources: readonly { kind: string; args: Props }[]): Promise<string> {
  const remote = new RemoteHost({
    connection: { host: host.address, user: "root", hostKey: host.hostKey },
    privateKeyPath: clientKeyPath,
  });
  try {
    return (await remote.call("apply", await requestOf(resources), { step: "apply" })).toString("utf8");
  } finally {
    remote.close();
  }
}

const rules = { kind: "LeakFence", args: { uplink: "eth0", networks: ["rfc1918"] } };
const right = { kind: "SudoRule", args: { users: ["myself"], commands: [{ path: "/usr/bin/id" }] } };
const link = { kind: "Bridge", args: { name: "br0", uplink: "nic0", ageingTimeSeconds: 60, mac: "02:00:5e:00:53:01" } };

test("a failure in the middle of links, sysctls and rules leaves the old state over all of them", async () => {
  // The kernel refuses an interface without Ethernet as a port only when it is to become one: bridge, settings, sysctls and tables stand by then.
  await host.run("ip tuntap add nic0 mode tap && ip link set nic0 up && ip link set nic0 down");
  await host.run("ip link add old type bridge ageing_time 7000 && ip tuntap add tun0 mode tun");
  const before = await host.fingerprint();
  const last = { kind: "BridgePort", args: { bridge: "br0", interface: "tun0" } };
  expect(await apply([rules, right, link, last])).toMatch(/^refused\nrefuse 3 rejected tun0 master cannot be set to br0: /);
  expect(await host.fingerprint()).toBe(before);
  // The control: without it all of the rest stands, until the host undoes what nobody confirms.
  expect(await apply([rules, right, link])).toMatch(/^applied /);
  const { stdout } = await host.run(
    "ip -br link show master br0; nft list tables; ls /etc/sudoers.d; cat /sys/class/net/br0/bridge/ageing_time",
  );
  expect(stdout).toMatch(/^nic0 [^]*table inet drawbridge[^]*drawbridge-test-1[^]*6000\n$/);
  expect(await host.fingerprint()).not.toBe(before);
  await host.run(`/var/lib/drawbridge/txn/${transactionId()}/drawbridge-host undo ${transactionId()}`);
  expect(await host.fingerprint()).toBe(before);
});

test("the guilty one of a batch fails alone, by name, and the rest is made", async () => {
  await host.run("ip tuntap add nic0 mode tap && ip tuntap add tun0 mode tun");
  const [fence, bridge, port] = await Promise.allSettled([
    Driven.create("LeakFence", "fence", on(rules.args)),
    Driven.create("Bridge", "bridge", on({ name: "br0" })),
    Driven.create("BridgePort", "port", on({ bridge: "br0", interface: "tun0" })),
  ]);
  expect(fence.status).toBe("fulfilled");
  expect(bridge.status).toBe("fulfilled");
  expect(port).toMatchObject({
    status: "rejected",
    reason: { message: expect.stringMatching(/tun0 master cannot be set to br0/) as unknown },
  });
});

test("a change of an existing bridge that fails half way puts back what it had set already", async () => {
  await host.run("ip tuntap add nic0 mode tap && ip tuntap add tun0 mode tun");
  const bridge = await Driven.create("Bridge", "bridge", on({ name: "br0", ageingTimeSeconds: 60, priority: 5 }));
  const standing = await host.fingerprint();
  await expect(
    bridge.up(on({ name: "br0", ageingTimeSeconds: 10, stp: true, forwardDelaySeconds: 5, uplink: "tun0" })),
  ).rejects.toThrow(/tun0/);
  expect(await host.fingerprint()).toBe(standing);
  expect(await bridge.refresh()).toEqual({});
});

test("what nobody confirms is undone, links and rules alike", async () => {
  await host.run(
    "ip tuntap add nic0 mode tap && ip link set nic0 up && ip link set nic0 down && ip link add br1 type bridge && ip link set nic0 master br1",
  );
  const before = await host.fingerprint();
  const answer = await apply([rules, { kind: "Bridge", args: { name: "br0" } }]);
  expect(answer).toMatch(/^applied /);
  await host.run("for i in $(seq 600); do [ -e /var/lib/drawbridge ] || exit 0; sleep 0.1; done; exit 1");
  expect(await host.fingerprint()).toBe(before);
});
