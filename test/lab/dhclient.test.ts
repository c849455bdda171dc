import type { LabHost } from "../../tools/lab";
import { accessOf, Driven } from "./drive";
import { startOwnHost } from "./guests";

/** A program that waits for a signal, whatever its arguments are: no lab has a DHCP client of its own, and a script is run by another program. */
function waiting(): string {
  const code =
    process.arch === "arm64"
      ? // ppoll(NULL, 0, NULL, NULL), again and again
        [0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd2800928, 0xd4000001, 0x17fffffa].flatMap((word) =>
          [0, 8, 16, 24].map((bits) => (word >>> bits) & 255),
        )
      : // pause(), again and again
        [0x6a, 0x22, 0x58, 0x0f, 0x05, 0xeb, 0xf9];
  const elf = Buffer.alloc(120 + code.length);
  elf.write("\x7fELF\x02\x01\x01", 0, "latin1");
  elf.writeUInt16LE(2, 16);
  elf.writeUInt16LE(process.arch === "arm64" ? 183 : 62, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(0x400078n, 24);
  elf.writeBigUInt64LE(64n, 32);
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 64);
  elf.writeUInt32LE(5, 68);
  elf.writeBigUInt64LE(0x400000n, 80);
  elf.writeBigUInt64LE(0x400000n, 88);
  elf.writeBigUInt64LE(BigInt(elf.length), 96);
  elf.writeBigUInt64LE(BigInt(elf.length), 104);
  elf.writeBigUInt64LE(0x1000n, 112);
  Buffer.from(code).copy(elf, 120);
  return elf.toString("base64");
}

let host: LabHost;
const on = () => ({ ...accessOf(host), confirmDeadlineSeconds: 20, name: "br0", uplink: "eth0", moveAddresses: true });

/** As ifupdown calls it; the pid file is written by us, as the client itself would. */
const words = (device: string) =>
  `-4 -v -i -pf /run/dhclient.${device}.pid -lf /var/lib/dhcp/dhclient.${device}.leases -I -df /var/lib/dhcp/dhclient6.${device}.leases ${device} -e IF_METRIC=100`;
const start = (line: string, file: string, user = "root") =>
  host.run(
    `setsid -f setpriv --reuid ${user} --clear-groups ${line} >/dev/null 2>&1 </dev/null
    for i in $(seq 100); do pgrep -u ${user} -x 'dhclient|dhcpcd' >/run/${file}.pid && exit 0; sleep 0.1; done; exit 1`,
  );
/** The clients of root at work, and their command lines. */
const clients = async () =>
  (
    await host.run(
      "for pid in $(pgrep -u root -x 'dhclient|dhcpcd'); do echo $pid >/run/found; tr '\\0' ' ' </proc/$pid/cmdline; echo; done",
    )
  ).stdout.trim();

beforeAll(async () => {
  host = await startOwnHost();
  await host.run(
    `base64 -d >/usr/sbin/dhclient && chmod 755 /usr/sbin/dhclient && cp /usr/sbin/dhclient /usr/sbin/dhcpcd && mkdir -p /var/lib/dhcp
    printf 'auto eth0\niface eth0 inet dhcp\n' >/etc/network/interfaces.d/eth0
    printf 'lease {\n  interface "eth0";\n  fixed-address ${host.address};\n}\n' >/var/lib/dhcp/dhclient.eth0.leases
    ip address change ${host.address}/16 dev eth0 valid_lft 3600 preferred_lft 3600
    for i in $(seq 100); do ip -6 -o address show | grep -q tentative || exit 0; sleep 0.1; done; exit 1`,
    { stdin: waiting() },
  );
});

test("an honest dhclient goes on at the bridge with the lease it has, and comes back with it", async () => {
  const before = await host.fingerprint();
  await start(`dhclient ${words("eth0")}`, "dhclient.eth0");
  const bridge = await Driven.create("Bridge", "dhcp", on());
  expect(await clients()).toBe(`/usr/sbin/dhclient ${words("br0")}`);
  // As the client itself would.
  await host.run("cp /run/found /run/dhclient.br0.pid");
  expect((await host.run("cat /var/lib/dhcp/*; ls /run/dhclient*")).stdout).toMatch(
    /interface "br0";[^]*\n\/run\/dhclient.br0.pid\n$/,
  );
  expect(await bridge.refresh()).toEqual({});
  await bridge.delete();
  expect(await clients()).toBe(`/usr/sbin/dhclient ${words("eth0")}`);
  await host.run("kill $(cat /run/found); rm -f /run/dhclient* /run/found");
  expect(await host.fingerprint()).toBe(before);
});

describe("what is no client of the host's is neither run as root nor ended", () => {
  const bait = "#!/bin/sh\\n[ $(id -u) != 0 ] || id >/root/owned\\nwhile :; do sleep 1; done\\n";

  test.each([
    [
      "a user's script of that name, its number in a stale pid file",
      `printf '${bait}' >~mybro/dhclient; chmod 755 ~mybro/dhclient`,
      "/home/mybro/dhclient",
      "mybro",
    ],
    ["a user's copy of the program", "cp /usr/sbin/dhclient ~mybro/dhclient", "/home/mybro/dhclient", "mybro"],
    ["the host's program, started by a user", "true", `/usr/sbin/dhclient ${words("eth0")} -sf /home/mybro/bait`, "mybro"],
    [
      "another program of root's of that name",
      `printf '${bait}' | sed 's/^\\[.*//' >/root/dhclient; chmod 755 /root/dhclient`,
      "/root/dhclient",
      "root",
    ],
  ])("%s", async (_what, prepare, line, user) => {
    await host.run(prepare);
    const name = line.split(" ")[0] ?? "";
    await start(line, "dhclient.eth0", user);
    const bridge = await Driven.create("Bridge", "stale", on());
    // It is as it was, and nothing was started for the bridge.
    expect(
      (await host.run("kill -0 $(cat /run/dhclient.eth0.pid); pgrep -cx dhclient; ls /root/owned 2>/dev/null || :")).stdout,
    ).toBe("1\n");
    await bridge.delete();
    await host.run(
      `kill $(cat /run/dhclient.eth0.pid); rm -f /run/dhclient.eth0.pid; [ ${name} = /usr/sbin/dhclient ] || rm ${name}`,
    );
  });
});

test.each([
  ["a client that is not known to go on", "dhcpcd eth0", "dhcpcd-eth0", /by DHCP from dhcpcd, which is not supported yet/],
  [
    "a dhclient that was started with more than ifupdown says",
    `dhclient ${words("eth0")} -sf /root/script`,
    "dhclient.eth0",
    /a dhclient that was started with "-sf \/root\/script"/,
  ],
])("%s is refused by name", async (_what, line, file, reason) => {
  await start(line, file);
  const before = await host.fingerprint();
  await expect(Driven.create("Bridge", "refused", on())).rejects.toThrow(reason);
  expect(await host.fingerprint()).toBe(before);
  await host.run(`kill $(cat /run/${file}.pid); rm /run/${file}.pid`);
});
