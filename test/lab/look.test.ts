import { HostError } from "../../dist/core/errors";
import type { LabHost } from "../../tools/lab";
import { accessOf, Driven, type Props } from "./drive";
import { startOwnHost } from "./guests";

const untilNextLook = () => new Promise((resolve) => setTimeout(resolve, 1100));

/** Resources that stand in files, in the kernel and in sudo's eyes. */
const kinds: readonly (readonly [string, Props])[] = [
  ["LeakFence", { uplink: "eth9", networks: ["special-purpose"] }],
  ["SudoRule", { users: ["myself"], commands: [{ path: "/usr/bin/id" }] }],
  ["SystemGroup", { name: "viewers", members: ["myself"] }],
  ["Bridge", { name: "br7" }],
];

describe("a look that could not see everything", () => {
  let host: LabHost;
  let made: readonly Driven[];
  beforeAll(async () => {
    host = await startOwnHost();
    made = await Promise.all(kinds.map(([kind, args]) => Driven.create(kind, "seen", { ...accessOf(host), ...args })));
  });

  /** Of each resource: that nothing has changed, "gone", or the code of the error. */
  const looks = async () => {
    await untilNextLook();
    return Promise.all(
      made.map((each) =>
        each.refresh().then(
          (drift) => (drift === "gone" ? drift : Object.keys(drift).join() || "as it was"),
          (error: unknown) => (error instanceof HostError ? error.failure.code : String(error)),
        ),
      ),
    );
  };

  test("is a failed look with a name, wherever the memory of the host ends; nothing is taken for gone", async () => {
    expect(await looks()).toEqual(kinds.map(() => "as it was"));
    const found = new Set<string>();
    for (const kilobytes of [4, 12, 24, 40, 64, 96, 160, 8000]) {
      await host.run(`mount -t tmpfs -o mode=700,size=${kilobytes}k tmpfs /run/drawbridge`);
      for (const word of await looks()) found.add(word);
      await host.run("umount /run/drawbridge");
    }
    // Both have been seen: memory that did not do, and memory that did.
    expect([...found].sort()).toEqual(["as it was", "not-writable"]);
    expect(await looks()).toEqual(kinds.map(() => "as it was"));
  });

  test.each([
    ["a file of sudo's that cannot be read", "awk", "case $* in *sudoers.d/drawbridge-*) exit 1 ;; esac"],
    ["a listing of tables that breaks off", "nft", 'case $* in *list*table*) echo "table inet drawbridge {"; exit 1 ;; esac'],
    ["files that cannot be packed", "tar", "case $* in *-cf*) exit 2 ;; esac"],
    ["files that cannot be found", "find", "case $* in *confirmed*) exit 1 ;; esac"],
    ["interfaces that cannot be listed", "ip", "case $* in *-j*) exit 1 ;; esac"],
    ["addresses that cannot be listed", "ip", "case $* in *address*) exit 1 ;; esac"],
    ["default routes that cannot be listed", "ip", "case $* in *default*) exit 1 ;; esac"],
  ])("is a failed look with %s", async (_what, tool, script) => {
    await host.run("rm -rf /run/drawbridge/looked");
    await host.run(`cat >/usr/local/sbin/${tool}; chmod 755 /usr/local/sbin/${tool}`, {
      stdin: `#!/bin/sh\n${script}\nexec "$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v ${tool})" "$@"\n`,
    });
    const found = await looks();
    await host.run(`rm /usr/local/sbin/${tool}`);
    expect(found).not.toContain("gone");
    expect(found).not.toEqual(kinds.map(() => "as it was"));
    expect(await looks()).toEqual(kinds.map(() => "as it was"));
  });

  test.each([
    ["the memory", "/run/drawbridge", ["not-writable"]],
    ["the disk", "/var/lib/drawbridge", ["as it was", "not-writable"]],
  ])("finds nothing gone where %s of the host fills up in its middle", async (_what, folder, expected) => {
    await host.run(`mkdir -p /mnt/small && mount -t tmpfs -o mode=700,size=8000k tmpfs /mnt/small &&
      cp -a ${folder}/. /mnt/small/ && mount --bind /mnt/small ${folder}`);
    // Interfaces are listed when tables have been found and nothing has been packed yet.
    await host.run("cat >/usr/local/sbin/ip; chmod 755 /usr/local/sbin/ip", {
      stdin: `#!/bin/sh\ncase $* in *-j*) cat /dev/zero >${folder}/filler 2>/dev/null; touch /root/filled ;; esac\nexec /usr/sbin/ip "$@"\n`,
    });
    const found = await looks();
    await host.run(`rm /root/filled /usr/local/sbin/ip; umount ${folder} /mnt/small`);
    for (const word of found) expect(expected).toContain(word);
    expect(await looks()).toEqual(kinds.map(() => "as it was"));
  });
});

describe("a look behind which nothing has changed", () => {
  let host: LabHost;
  let made: readonly Driven[];
  beforeAll(async () => {
    host = await startOwnHost();
    await host.run("ip link add late0 type veth peer name late1");
    const all: readonly (readonly [string, string, Props])[] = [
      ["LeakFence", "fence", { uplink: "eth0", networks: ["rfc1918"], exceptions: [{ cidr: "10.1.2.3", direction: "to" }] }],
      ["LeakFence", "late", { uplink: "late0", networks: ["rfc1918"] }],
      ["UserOutputChain", "mine", { user: "myself", allow: [{ to: "203.0.113.2", ports: [20002] }] }],
      ["Allow", "waits", { hook: "input", protocol: "tcp", ports: [80], from: { set: "nobodys" } }],
    ];
    made = await Promise.all(all.map(([kind, name, args]) => Driven.create(kind, name, { ...accessOf(host), ...args })));
  });

  const look = async () => {
    await untilNextLook();
    return Promise.all(made.map((each) => each.refresh()));
  };
  const lookAnew = async () => {
    await host.run("rm -rf /run/drawbridge/looked");
    return look();
  };
  const none = [{}, {}, {}, {}];

  test("is answered with what was found then; the control: what is remembered is what is told", async () => {
    expect(await lookAnew()).toEqual(none);
    expect(await look()).toEqual(none);
    await host.run("sed -i 's/drop comment/accept comment/' /run/drawbridge/looked/live/inet");
    expect((await look())[0]).toMatchObject({ "inet 91 drop leaks": { found: "accept" } });
    expect(await lookAnew()).toEqual(none);
  });

  test.each([
    [
      "a rule",
      "nft add rule inet drawbridge $(nft list chains | grep -o 'leak-fence-fence\\S*leak' | head -n 1) accept",
      "nft -a list ruleset",
    ],
    ["a number of an account", "usermod -u 4321 myself", "usermod -u 1000 myself"],
    ["an account that is gone", "sed -i.kept '/^myself:/d' /etc/passwd", "mv /etc/passwd.kept /etc/passwd"],
    ["a table", "nft delete table netdev drawbridge", "drawbridge-host load"],
    ["all tables", "nft flush ruleset", "drawbridge-host load"],
  ])("sees %s that has changed as one that remembers nothing", async (_what, change, back) => {
    expect(await lookAnew()).toEqual(none);
    await host.run(change);
    const found = await look();
    expect(found).not.toEqual(none);
    expect(found).toEqual(await lookAnew());
    await host.run(back);
    await host.run("drawbridge-host load");
    expect(await look()).toEqual(none);
  });

  // Both are put right, or looked at otherwise, before anybody is told of drift; so the answers must not be remembered.
  test.each([
    ["a device is made anew", "ip link delete late0; ip link add late0 type veth peer name late1"],
    [
      "a confirmed copy is another one",
      "sed -i 's/drop comment/accept comment/' /var/lib/drawbridge/confirmed/etc/drawbridge/nft/inet-drawbridge/50-leak-fence-fence-*.nft",
    ],
  ])("is made anew where %s", async (_what, change) => {
    expect(await lookAnew()).toEqual(none);
    await host.run("touch /run/drawbridge/looked/mark");
    expect(await look()).toEqual(none);
    expect((await host.run("ls /run/drawbridge/looked")).stdout).toContain("mark");
    await host.run(change);
    expect(await look()).toEqual(none);
    expect((await host.run("ls /run/drawbridge/looked", { allowFailure: true })).stdout).not.toContain("mark");
  });
});
