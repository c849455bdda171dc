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
async function requestOf(
  resources: readonly { kind: string; args: Props }[],
  verb: "put" | "drop" = "put",
  isWanted: (index: number) => boolean = () => true,
): Promise<Buffer> {
  transactions += 1;
  const manifest: string[] = [];
  const entries = resources.flatMap(({ kind, args }, index) => {
    const spec = kinds.get(kind);
    if (!spec) throw new Error(`no kind ${kind}`);
    const object = `test-${index}`;
    return spec.files({ object, owner: OWNER, from: "tests/lab" }, spec.schema.parse(args), "ifupdown").map((file) => {
      if (isWanted(index)) manifest.push(`${index} ${verb} ${file.mode} ${file.path} ${object} ${OWNER} - -\n`);
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
  return call("apply", await requestOf(resources));
}

async function call(command: "apply" | "confirm", request: Buffer): Promise<string> {
  const remote = new RemoteHost({
    connection: { host: host.address, user: "root", hostKey: host.hostKey },
    privateKeyPath: clientKeyPath,
  });
  try {
    return (await remote.call(command, request, { step: command })).toString("utf8");
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

describe("a group, a file of that group and a right to run it, the file named first", () => {
  const viewer = "/usr/bin/viewer";
  const file = { kind: "GuardedFile", args: { path: viewer, group: "newgrp", mode: "0750" } };
  const launcher = { kind: "GuardedFile", args: { path: "/usr/bin/launch", mode: "0755", content: "#!/bin/sh\n" } };
  const sudo = {
    kind: "SudoRule",
    args: {
      users: ["myself"],
      runAsUser: "myself",
      runAsGroup: "newgrp",
      nopasswd: true,
      commands: [{ path: viewer, args: ["-gn"] }],
    },
  };
  const group = { kind: "SystemGroup", args: { name: "newgrp", gid: 970, members: ["plain"] } };
  const all = [file, launcher, sudo, group];
  const look = async () => {
    const { stdout } = await host.run("stat -c '%n %U:%G %a' /usr/bin/viewer; ls /usr/bin/launch; dpkg-statoverride --list", {
      allowFailure: true,
    });
    return `${await host.fingerprint()}\n${stdout}`;
  };
  const undo = () => host.run(`/var/lib/drawbridge/txn/${transactionId()}/drawbridge-host undo ${transactionId()}`);
  const confirm = () => call("confirm", Buffer.from(`${transactionId()}\n`));
  const runsAs = async () =>
    (await host.run(`sudo -n -u myself -g newgrp ${viewer} -gn || echo refused`, { user: "myself" })).stdout;

  test("stand after one transaction, leave with one, and each undo brings back the whole state before it", async () => {
    await host.run(`cp /usr/bin/id ${viewer}`);
    const before = await look();
    expect(await apply(all)).toMatch(/^applied /);
    expect(await runsAs()).toBe("newgrp\n");
    await undo();
    expect(await look()).toBe(before);

    expect(await apply(all)).toMatch(/^applied /);
    expect(await confirm()).toContain("confirmed");
    const standing = await look();
    expect(standing).toContain(`${viewer} root:newgrp 750\n/usr/bin/launch\nroot newgrp 750 ${viewer}`);
    expect(await call("apply", await requestOf(all, "drop"))).toMatch(/^applied /);
    expect((await host.run("grep newgrp /etc/group || echo gone")).stdout).toBe("gone\n");
    await undo();
    expect(await look()).toBe(standing);
    expect(await runsAs()).toBe("newgrp\n");

    expect(await call("apply", await requestOf(all, "drop"))).toMatch(/^applied /);
    expect(await confirm()).toContain("confirmed");
    expect(await look()).toBe(before);
  });

  test("without the group the file is refused by its property, and the group that a file still needs stays", async () => {
    await host.run(`cp /usr/bin/id ${viewer}`);
    expect(await apply([file, sudo])).toBe("refused\nrefuse 0 refused group: there is no group newgrp on this host\n");
    expect(await apply(all)).toMatch(/^applied /);
    expect(await confirm()).toContain("confirmed");
    const only = await requestOf(all, "drop", (index) => index === 3);
    expect(await call("apply", only)).toMatch(/^note 3 kept the group newgrp: others still need it: \/usr\/bin\/viewer/m);
    expect((await host.run(`stat -c %G ${viewer}`)).stdout).toBe("newgrp\n");
  });
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
