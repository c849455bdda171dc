import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, check, Driven, type Props } from "./drive";

let host: LabHost;
let before: string;

beforeEach(async () => {
  host = await startHost();
  await host.run("cp /usr/bin/id /usr/local/bin/viewer && cp /usr/bin/id /usr/bin/viewer");
  before = await look();
});
afterEach(() => host.down());

const path = "/usr/bin/viewer";
const on = (own: Props): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, path, ...own });
const output = async (script: string, user?: string) =>
  (await host.run(script, user === undefined ? {} : { user })).stdout.trim();
const stat = (file = path) => output(`stat -c '%U:%G %04a' ${file}`);
const run = (user: string, command = path) => output(`${command} -u >/dev/null 2>&1 && echo allowed || echo denied`, user);

/** Everything that a delete must leave as it was, the programs' capabilities included. */
async function look(): Promise<string> {
  const programs =
    "find /usr/bin /usr/local/bin -newer /etc/hostname -exec stat -c '%n %F %U:%G %a %h' {} + ; getcap -r /usr/bin /usr/local/bin; ls -l /usr/bin/viewer | cut -c11";
  return `${await host.fingerprint()}\n${await output(`${programs}; cat /usr/bin/viewer | sha256sum; dpkg-statoverride --list || :`)}`;
}

async function given(script: string): Promise<void> {
  await host.run(script);
  before = await look();
}

const article = { owner: "root", group: "spicegrp", mode: "0750" };

test("only the group may run it; delete gives it back to all", async () => {
  await host.run("gpasswd -a mybro spicegrp");
  before = await look();
  expect([await run("myself"), await run("mybro")]).toEqual(["allowed", "allowed"]);
  const file = await Driven.create("GuardedFile", "viewer", on(article));
  expect(await stat()).toBe("root:spicegrp 0750");
  expect([await run("myself"), await run("mybro")]).toEqual(["denied", "allowed"]);
  expect(await output("dpkg-statoverride --list")).toBe("root spicegrp 750 /usr/bin/viewer");
  expect(await file.refresh()).toEqual({});
  await file.delete();
  expect([await run("myself"), await run("mybro")]).toEqual(["allowed", "allowed"]);
  expect(await look()).toBe(before);
});

test("group, file and sudo rule come in one transaction, and leave in one", async () => {
  const show = { path, args: ["-gn"] };
  const all = () =>
    Promise.all([
      Driven.create("SudoRule", "viewer", {
        ...accessOf(host),
        users: ["myself"],
        runAsUser: "myself",
        runAsGroup: "newgrp",
        nopasswd: true,
        commands: [show],
      }),
      Driven.create("GuardedFile", "viewer", on({ ...article, group: "newgrp" })),
      Driven.create("SystemGroup", "viewer", { ...accessOf(host), name: "newgrp" }),
    ]);
  // The first change tells whether the others wait: what gathers behind it is one transaction.
  const first = Driven.create("GuardedFile", "first", on({ path: "/usr/local/bin/viewer", mode: "0755" }));
  const made = await all();
  expect(await run("myself")).toBe("denied");
  expect(await output(`sudo -n -u myself -g newgrp ${path} -gn`, "myself")).toBe("newgrp");
  for (const each of made) expect(await each.refresh()).toEqual({});
  await Promise.all([...made, await first].map((each) => each.delete()));
  expect(await look()).toBe(before);
});

test("without the group it is refused by name, and so are a user and a file that are not there", async () => {
  const refused = (own: Props) => expect(Driven.create("GuardedFile", "wrong", on(own))).rejects;
  await refused({ group: "nosuch" }).toThrow(/group: there is no group nosuch on this host/);
  await refused({ owner: "nosuch" }).toThrow(/owner: there is no user nosuch on this host/);
  await refused({ path: "/usr/bin/nosuch", mode: "0750" }).toThrow(/path: there is no file \/usr\/bin\/nosuch/);
  await refused({ path: "/usr/nosuch/x", mode: "0750", content: "x" }).toThrow(/path: there is no folder \/usr\/nosuch/);
  expect(await look()).toBe(before);
});

/** A package of one program, as its distributor would make it. */
const packaged = (version: number) => `set -e
  d=$(mktemp -d); mkdir -p $d/DEBIAN $d/usr/bin
  printf 'Package: viewer\\nVersion: ${version}\\nArchitecture: all\\nMaintainer: x <x@example.org>\\nDescription: x\\n' >$d/DEBIAN/control
  printf '#!/bin/sh\\necho version ${version}\\n' >$d/usr/bin/packaged; chmod 755 $d/usr/bin/packaged $d
  dpkg-deb --root-owner-group -b $d /tmp/viewer.deb >/dev/null; dpkg -i /tmp/viewer.deb >/dev/null 2>&1; rm -rf $d`;

test("an upgrade of its package changes the program and not who may run it", async () => {
  const packagedPath = "/usr/bin/packaged";
  await host.run(packaged(1));
  // The control: without us the upgrade brings the package's own mode.
  await host.run(`chmod 700 ${packagedPath}; ${packaged(2)}`);
  expect(await stat(packagedPath)).toBe("root:root 0755");
  const file = await Driven.create("GuardedFile", "viewer", on({ ...article, path: packagedPath }));
  await host.run(packaged(3));
  expect(await stat(packagedPath)).toBe("root:spicegrp 0750");
  expect(await output(packagedPath)).toBe("version 3");
  expect(await run("myself", packagedPath)).toBe("denied");
  await host.run("sleep 1.1");
  expect(await file.refresh()).toEqual({});
  await file.delete();
  expect(await stat(packagedPath)).toBe("root:root 0755");
  await host.run(packaged(4));
  expect(await stat(packagedPath)).toBe("root:root 0755");
  await expect(
    Driven.create("GuardedFile", "text", on({ path: packagedPath, mode: "0755", content: "x", adopt: true })),
  ).rejects.toThrow(/content: \/usr\/bin\/packaged belongs to the package viewer/);
});

test.each([
  ["bookworm", "/usr/bin/true", "/bin/true"],
  ["trixie", "/bin/true", "/usr/bin/true"],
] as const)("on %s %s is what dpkg knows as %s", async (suite, name, known) => {
  const other = await startHost({ suite });
  const file = await Driven.create("GuardedFile", "true", { ...accessOf(other), path: name, mode: "0751" });
  const { stdout } = await other.run("dpkg-statoverride --list; stat -c %a /usr/bin/true");
  expect(stdout).toBe(`root root 751 ${known}\n751\n`);
  expect(await file.refresh()).toEqual({});
  await file.delete();
  expect((await other.run("dpkg-statoverride --list || echo none; stat -c %a /usr/bin/true")).stdout).toBe("none\n755\n");
  await other.down();
});

test("an upgrade of a package that ships it below /bin keeps what the program says of it below /usr/bin", async () => {
  const aliased = (version: number) => packaged(version).replaceAll("$d/usr/bin", "$d/bin");
  await host.run(aliased(1));
  const file = await Driven.create("GuardedFile", "viewer", on({ ...article, path: "/usr/bin/packaged" }));
  await host.run(aliased(2));
  expect(await output("/bin/packaged")).toBe("version 2");
  expect(await stat("/usr/bin/packaged")).toBe("root:spicegrp 0750");
  await file.delete();
  expect(await stat("/usr/bin/packaged")).toBe("root:root 0755");
});

describe("an override of somebody else", () => {
  test("is refused without adopt, and put back", async () => {
    await given(`dpkg-statoverride --update --add root plain 0754 ${path}`);
    await expect(Driven.create("GuardedFile", "viewer", on(article))).rejects.toThrow(
      /dpkg-statoverride already makes \/usr\/bin\/viewer root:plain:0754 and not ours/,
    );
    expect(await look()).toBe(before);
    const file = await Driven.create("GuardedFile", "viewer", on({ ...article, adopt: true }));
    expect(await output("dpkg-statoverride --list")).toBe("root spicegrp 750 /usr/bin/viewer");
    // What leaves the program is put back by itself, in the override too.
    await file.up(on({ group: "spicegrp", adopt: true }));
    expect(await stat()).toBe("root:spicegrp 0754");
    expect(await output("dpkg-statoverride --list")).toBe("root spicegrp 754 /usr/bin/viewer");
    await file.delete();
    expect(await look()).toBe(before);
  });

  test("that came later stays", async () => {
    const file = await Driven.create("GuardedFile", "viewer", on(article));
    await host.run(
      `dpkg-statoverride --remove ${path} 2>/dev/null; dpkg-statoverride --add root plain 0711 ${path}; chmod 711 ${path}`,
    );
    await file.delete();
    // What others have changed stays; what still stood as set has gone back.
    expect(await output("dpkg-statoverride --list")).toBe("root plain 711 /usr/bin/viewer");
    expect(await stat()).toBe("root:root 0711");
  });
});

describe("what a change of owner would take away", () => {
  test("a setuid bit and capabilities stay where they are not asked to go", async () => {
    await given(`chmod 4755 ${path}; setcap cap_net_raw=ep /usr/local/bin/viewer`);
    const setuid = await Driven.create("GuardedFile", "setuid", on({ group: "spicegrp" }));
    expect(await stat()).toBe("root:spicegrp 4755");
    const capable = await Driven.create(
      "GuardedFile",
      "capable",
      on({ path: "/usr/local/bin/viewer", group: "spicegrp", mode: "0750" }),
    );
    expect(await output("getcap /usr/local/bin/viewer; stat -c %G:%a /usr/local/bin/viewer")).toBe(
      "/usr/local/bin/viewer cap_net_raw=ep\nspicegrp:750",
    );
    await setuid.delete();
    await capable.delete();
    expect(await look()).toBe(before);
  });

  test("a setuid bit is not dropped unseen, and comes back with the delete", async () => {
    await given(`chmod 4755 ${path}`);
    await expect(Driven.create("GuardedFile", "viewer", on(article))).rejects.toThrow(
      /mode: \/usr\/bin\/viewer has the mode 4755, whose setuid.*`dropSetuid: true`/,
    );
    await expect(Driven.create("GuardedFile", "viewer", on({ owner: "plain" }))).rejects.toThrow(
      /owner: .* has the mode 4755, and plain could change what runs with more than his own rights/,
    );
    expect(await look()).toBe(before);
    const kept = await Driven.create("GuardedFile", "viewer", on({ ...article, mode: "4750" }));
    expect(await stat()).toBe("root:spicegrp 4750");
    await kept.delete();
    const dropped = await Driven.create("GuardedFile", "viewer", on({ ...article, dropSetuid: true }));
    expect(await stat()).toBe("root:spicegrp 0750");
    await dropped.delete();
    expect(await look()).toBe(before);
  });

  test("capabilities are refused where the host could not put them back, and for another content", async () => {
    await given("setcap cap_net_raw=ep /usr/local/bin/viewer; mkdir /root/away; mv /usr/sbin/getcap /usr/sbin/setcap /root/away");
    const file = { path: "/usr/local/bin/viewer", ...article };
    await expect(Driven.create("GuardedFile", "viewer", on(file))).rejects.toThrow(
      /group|owner: .* has capabilities.*libcap2-bin/,
    );
    await host.run("mv /root/away/* /usr/sbin; rmdir /root/away");
    await expect(Driven.create("GuardedFile", "viewer", on({ ...file, content: "x", adopt: true }))).rejects.toThrow(
      /content: .* has the capabilities cap_net_raw=ep/,
    );
    expect(await output("getcap /usr/local/bin/viewer")).toBe("/usr/local/bin/viewer cap_net_raw=ep");
  });

  test("an access control list lets others in: refused, and seen when it comes later", async () => {
    // As `setfacl -m user:mybro:rx`, which the lab's hosts do not have.
    const acl = (file: string) =>
      `perl -e 'my ($f, $n) = (q(${file}), q(system.posix_acl_access)); my $v = pack(q(V), 2) . join(q(), map { pack(q(vvV), @$_) } [1,7,0xffffffff],[2,5,1005],[4,5,0xffffffff],[0x10,5,0xffffffff],[0x20,0,0xffffffff]); syscall(188, $f, $n, $v, length($v), 0) == 0 or die $!'`;
    const file = await Driven.create("GuardedFile", "viewer", on(article));
    expect(await run("mybro")).toBe("denied");
    await host.run(`${acl(path)}; sleep 1.1`);
    expect(await run("mybro")).toBe("allowed");
    expect(Object.keys(await file.refresh())).toEqual(["13 acl"]);
    await host.run(acl("/usr/local/bin/viewer"));
    await expect(Driven.create("GuardedFile", "other", on({ ...article, path: "/usr/local/bin/viewer" }))).rejects.toThrow(
      /path: \/usr\/local\/bin\/viewer has an access control list/,
    );
  });
});

describe("a path that leads elsewhere", () => {
  test.each([
    ["a link", "ln -s /etc/shadow /usr/bin/x", "/usr/bin/x", /path: \/usr\/bin\/x is a link to \/etc\/shadow; name the file/],
    [
      "a user's folder",
      "install -o myself /usr/bin/id /home/myself/x",
      "/home/myself/x",
      /\/home\/myself can be changed by the user myself/,
    ],
    ["a folder for all", "cp /usr/bin/id /tmp/x", "/tmp/x", /\/tmp can be changed by everyone/],
    [
      "a group's folder",
      "chgrp plain /usr/local/bin; chmod g+w /usr/local/bin",
      "/usr/local/bin/viewer",
      /\/usr\/local\/bin can be changed by the group plain/,
    ],
    [
      "a link to a user's folder",
      "ln -s /home/myself /usr/games/m; install -o myself /usr/bin/id /home/myself/x",
      "/usr/games/m/x",
      /\/home\/myself can be changed by the user myself/,
    ],
    [
      "a user's link",
      "ln -s /usr/bin /usr/games/m; chown -h myself /usr/games/m",
      "/usr/games/m/viewer",
      /\/usr\/games\/m can be changed by the user myself/,
    ],
    ["a folder", "true", "/usr/bin", /path: \/usr\/bin is no file/],
    ["what the undo needs", "true", "/usr/bin/dash", /path: \/usr\/bin\/dash is what drawbridge-host itself works with/],
  ])("is refused: %s", async (_story, script, file, reason) => {
    await given(script);
    await expect(Driven.create("GuardedFile", "viewer", on({ path: file, mode: "0750" }))).rejects.toThrow(reason);
    expect(await look()).toBe(before);
  });

  test("a link that came later is seen and not followed, not even by delete", async () => {
    const file = await Driven.create("GuardedFile", "viewer", on(article));
    await host.run(`rm ${path}; ln -s /etc/shadow ${path}; sleep 1.1`);
    const shadow = await stat("/etc/shadow");
    expect(Object.keys(await file.refresh())).toEqual(expect.arrayContaining(["10 owner", "12 mode"]));
    await expect(file.up(on(article))).rejects.toThrow(/is a link to \/etc\/shadow/);
    await file.delete();
    expect(await stat("/etc/shadow")).toBe(shadow);
  });
});

describe("a launcher", () => {
  const launcher = "/usr/local/bin/launch";
  const text = '#!/bin/sh\n# ümlaut, `backquote`, $(touch /tmp/pwned) \\ | %s\n\n\techo "launched $*"';

  test("is made with just its bytes, is seen when it is edited, and goes with its resource", async () => {
    await given("true");
    const args = on({ path: launcher, mode: "0755", content: text });
    const file = await Driven.create("GuardedFile", "launcher", args);
    expect((await host.run(`cat ${launcher}`)).stdout).toBe(text);
    expect(await stat(launcher)).toBe("root:root 0755");
    expect(await output(`${launcher} once`, "myself")).toBe("launched once");
    await host.run(`echo >>${launcher}; sleep 1.1`);
    expect(Object.keys(await file.refresh())).toEqual(["01 content"]);
    await file.up(args);
    expect((await host.run(`cat ${launcher}; ls /tmp`)).stdout).toBe(text);
    for (const content of ["", "\n", "a\r\n\n", "\n\nb", "|x\n\\y\nfile /etc/shadow mode 0666"]) {
      await file.up(on({ path: launcher, mode: "0755", content }));
      expect((await host.run(`cat ${launcher}`)).stdout).toBe(content);
    }
    await file.delete();
    expect(await look()).toBe(before);
  });

  test("in the place of another file wants adopt, and gives it back byte by byte", async () => {
    await given(`printf '#!/bin/sh\\nold\\0' >${launcher}; chown plain:spicegrp ${launcher}; chmod 0710 ${launcher}`);
    await expect(Driven.create("GuardedFile", "launcher", on({ path: launcher, mode: "0755", content: text }))).rejects.toThrow(
      /\/usr\/local\/bin\/launch is there already and not ours; `adopt: true` takes it over/,
    );
    expect(await look()).toBe(before);
    const file = await Driven.create("GuardedFile", "launcher", on({ path: launcher, mode: "0755", content: text, adopt: true }));
    expect(await stat(launcher)).toBe("plain:spicegrp 0755");
    expect((await host.run(`cat ${launcher}`)).stdout).toBe(text);
    await file.delete();
    expect(await look()).toBe(before);
  });

  test("that somebody has rewritten stays", async () => {
    const file = await Driven.create("GuardedFile", "launcher", on({ path: launcher, mode: "0755", content: text }));
    await host.run(`echo theirs >${launcher}`);
    await file.delete();
    expect(await output(`cat ${launcher}; stat -c %a ${launcher}`)).toBe("theirs\n755");
  });
});

test("what nobody confirms is undone, attribute by attribute", async () => {
  await given(`chmod 4755 ${path}; printf old >/usr/local/bin/launch; dpkg-statoverride --add root root 4755 ${path}`);
  const cut = "nft 'add table ip cut { chain in { type filter hook input priority 0; tcp dport 22 ct state new drop; }; }'";
  const slow = (name: string, kind: string, own: Props) =>
    Driven.create(kind, name, { ...accessOf(host), ...own, adopt: true, confirmDeadlineSeconds: 3 });
  const creating = Promise.allSettled([
    slow("group", "SystemGroup", { name: "newgrp", members: ["myself"] }),
    slow("file", "GuardedFile", { path, group: "spicegrp", mode: "4710" }),
    slow("text", "GuardedFile", { path: "/usr/local/bin/launch", mode: "0755", content: "new" }),
  ]);
  await host.run(
    `for i in $(seq 2000); do [ -d /var/lib/drawbridge/txn/*/ ] && break; sleep 0.01; done; ${cut}; for i in $(seq 600); do [ -e /var/lib/drawbridge ] || break; sleep 0.1; done; nft delete table ip cut`,
  );
  expect((await creating).map(({ status }) => status)).not.toContain("fulfilled");
  expect(await look()).toBe(before);
});

test("a failure in the middle leaves group and file as they were", async () => {
  await given(`chmod 4755 ${path}; setcap cap_net_raw=ep /usr/local/bin/viewer`);
  const tool = "/usr/bin/dpkg-statoverride";
  const broken = `mv ${tool} ${tool}.real; printf '#!/bin/sh\\ncase "$*" in *--add*) echo no space >&2; exit 2 ;; esac; exec ${tool}.real "$@"\\n' >${tool}; chmod 755 ${tool}`;
  await host.run(broken);
  await expect(Driven.create("GuardedFile", "viewer", on({ ...article, mode: "4750" }))).rejects.toThrow(
    /override cannot be set to root:spicegrp:4750: no space/,
  );
  await expect(Driven.create("GuardedFile", "capable", on({ path: "/usr/local/bin/viewer", group: "spicegrp" }))).rejects.toThrow(
    /no space/,
  );
  await host.run(`mv ${tool}.real ${tool}`);
  expect(await look()).toBe(before);
});

test("what cannot be put back any more is named, and the rest is", async () => {
  await host.run(`useradd -M leaver; chown leaver ${path}; chmod 711 ${path}`);
  const file = await Driven.create("GuardedFile", "viewer", on(article));
  await host.run("userdel leaver");
  await file.delete();
  expect(await stat()).toBe("root:root 0711");
  expect(await output("ls -d /etc/drawbridge /var/lib/drawbridge 2>/dev/null || echo gone")).toBe("gone");
});

test("two stacks hold the same of a file; the last one gives it back, and two different wishes are refused", async () => {
  const of = (stack: string, own: Props) => Driven.create("GuardedFile", "shared", on(own), { stack });
  const both = [await of("one", article), await of("two", article)];
  await expect(of("three", { ...article, mode: "0755" })).rejects.toThrow(/mode is held as 0750 by another resource/);
  await both[0]?.delete();
  expect(await stat()).toBe("root:spicegrp 0750");
  await both[1]?.delete();
  expect(await look()).toBe(before);
});

test.each([
  [{}, "mode", /at least one/],
  [{ mode: "755" }, "mode", /four octal digits/],
  [{ mode: "0788" }, "mode", /four octal digits/],
  [{ content: "x" }, "mode", /needed with `content`/],
  [{ owner: "plain", dropSetuid: true }, "dropSetuid", /about `mode`/],
  [{ mode: "0750", content: "\0" }, "content", /NUL/],
  [{ mode: "0750", path: "bin/x" }, "path", /absolute/],
  [{ mode: "0750", path: "/usr/../etc/shadow" }, "path", /must not contain/],
  [{ mode: "0750", path: "/etc/sudoers.d/x" }, "path", /SudoRule/],
  [{ mode: "0750", path: "/usr/bin/*" }, "path", /must consist of/],
])("%j is refused", async (own, property, reason) => {
  const { failures } = await check("GuardedFile", "wrong", on(own));
  expect(failures).toEqual([{ property, reason: expect.stringMatching(reason) as unknown }]);
});
