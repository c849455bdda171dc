import type * as Status from "../../dist/providers/status";
import { type LabHost, startHost } from "../../tools/lab";
import { objectName } from "../../dist/core/values/names";
import { accessOf, Driven, type Props } from "./drive";

const show = "/usr/local/bin/show";
const other = "/usr/local/bin/other";
const program = "/usr/local/sbin/drawbridge-host";
const refused = "refused";
const hosts: LabHost[] = [];

/** With a program that prints whom it runs as and its arguments, each in angle brackets. */
async function start(suite: "bookworm" | "trixie" = "bookworm"): Promise<LabHost> {
  const host = await startHost({ suite });
  hosts.push(host);
  await host.run(`set -e
    cat >${show} <<'end'
#!/bin/sh
printf '%s:%s' "$(id -un)" "$(id -gn)"
[ $# -eq 0 ] || printf ' <%s>' "$@"
[ -z "\${KEPT:-}" ] || printf ' KEPT=%s' "$KEPT"
[ -z "\${DROPPED:-}" ] || printf ' DROPPED=%s' "$DROPPED"
echo
end
    chmod 755 ${show}
    cp ${show} ${other}`);
  return host;
}

afterAll(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.down()));
});

const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

/** What `user` gets who calls `sudo -n` with each of these words: what the command prints, or "refused". */
async function sudoAll(host: LabHost, user: string, calls: readonly (readonly string[])[], environment = ""): Promise<string[]> {
  const lines = calls.map((words) => `run ${words.map(quote).join(" ")}`);
  const script = `
    run() {
      out=$(sudo -n "$@" 2>&1) || case $out in *'password is required'* | *'Sorry, user'* | *'sorry, you are not allowed'*) out=refused ;; esac
      printf '%s\\n' "$out"
    }
    cd /
    ${environment}
    ${lines.join("\n")}`;
  const { stdout } = await host.run(script, { user });
  return stdout.split("\n").slice(0, -1);
}

async function sudo(host: LabHost, user: string, ...words: string[]): Promise<string> {
  return (await sudoAll(host, user, [words])).join("\n");
}

/** Asking for no password, which lets a test run what is allowed. */
function argsOf(host: LabHost, args: Props): Props {
  return { ...accessOf(host), users: ["myself"], nopasswd: true, commands: [{ path: show }], ...args };
}

async function ruled(
  host: LabHost,
  name: string,
  args: Props,
  work: (rule: Driven) => Promise<void>,
  create = Driven.create.bind(Driven),
): Promise<void> {
  const rule = await create("SudoRule", name, argsOf(host, args));
  try {
    await work(rule);
  } finally {
    await rule.delete();
  }
}

function pathOf(name: string): string {
  return `/etc/sudoers.d/drawbridge-${objectName("SudoRule", { project: "tests", stack: "lab", name })}`;
}

/** `Driven.create` of a process that has not written anything yet, as the next run of Pulumi is. */
function createInNextRun(): typeof Driven.create {
  let fresh = Driven;
  jest.isolateModules(() => {
    fresh = jest.requireActual<{ Driven: typeof Driven }>("./drive").Driven;
  });
  return fresh.create.bind(fresh);
}

async function refusal(host: LabHost, work: () => Promise<unknown>): Promise<string> {
  const before = await host.fingerprint();
  try {
    await work();
  } catch (error) {
    expect(await host.fingerprint()).toBe(before);
    return error instanceof Error ? error.message : String(error);
  }
  return "not refused";
}

const special = [..."?*[]\\:,=!#\"'^$(){}~&;|<>%@+-./"];

/** The same random words each time. */
function randomWords(count: number): string[] {
  let state = 20260101;
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const letters = [...special, "a", "X"];
  return Array.from({ length: count }, () => Array.from({ length: 1 + next(7) }, () => letters[next(letters.length)]).join(""));
}

describe.each(["bookworm", "trixie"] as const)("on %s", (suite) => {
  let host: LabHost;

  beforeAll(async () => {
    host = await start(suite);
  });

  test("a user runs the command as the user and group that were allowed, and in no other way", async () => {
    const allowed = ["-u", "mybro", "-g", "spicegrp", show, "--", "one"];
    const near = [
      ["-u", "root", "-g", "spicegrp", show, "--", "one"],
      ["-u", "mybro", "-g", "root", show, "--", "one"],
      [show, "--", "one"],
      ["-u", "mybro", "-g", "spicegrp", show, "--", "two"],
      ["-u", "mybro", "-g", "spicegrp", show, "--"],
      ["-u", "mybro", "-g", "spicegrp", show],
      ["-u", "mybro", "-g", "spicegrp", show, "--", "one", "two"],
      ["-u", "mybro", "-g", "spicegrp", other, "--", "one"],
    ];
    expect(await sudo(host, "myself", ...allowed)).toBe(refused);
    await ruled(
      host,
      "exact",
      { runAsUser: "mybro", runAsGroup: "spicegrp", commands: [{ path: show, args: ["--", "one"] }] },
      async (rule) => {
        expect(await sudo(host, "myself", ...allowed)).toBe("mybro:spicegrp <--> <one>");
        expect(await sudoAll(host, "myself", near)).toEqual(near.map(() => refused));
        // sudo's "user : group" lets one leave the group out; before 1.9.16 the user, too, and then stay oneself.
        expect(await sudo(host, "myself", "-u", "mybro", show, "--", "one")).toBe("mybro:mybro <--> <one>");
        expect(await sudo(host, "myself", "-g", "spicegrp", show, "--", "one")).toBe(
          suite === "bookworm" ? "myself:spicegrp <--> <one>" : refused,
        );
        expect(await sudo(host, "mybro", ...allowed)).toBe(refused);
        expect(await sudo(host, "plain", ...allowed)).toBe(refused);
        expect(await rule.refresh()).toEqual({});
      },
    );
    expect(await sudo(host, "myself", ...allowed)).toBe(refused);
  });

  test("the article's viewer is allowed for its own port and host only: `?` is no wildcard", async () => {
    const call = (target: string) => ["-u", "myself", "-g", "spicegrp", show, "--", target];
    const commands = [{ path: show, args: ["--", "spice://mysrv.anraconc.de?tls-port=20002"] }];
    const near = [
      "spice://mysrv.anraconc.deXtls-port=20002",
      "spice://mysrv.anraconc.de?tls-port=20004",
      "spice://mysrvXanraconc.de?tls-port=20002",
      "spice\\://mysrv.anraconc.de?tls-port=20002",
    ];
    await ruled(host, "viewer", { runAsUser: "myself", runAsGroup: "spicegrp", commands }, async () => {
      expect(await sudo(host, "myself", ...call("spice://mysrv.anraconc.de?tls-port=20002"))).toBe(
        "myself:spicegrp <--> <spice://mysrv.anraconc.de?tls-port=20002>",
      );
      expect(await sudoAll(host, "myself", near.map(call))).toEqual(near.map(() => refused));
    });
  });

  test("every printable character in an argument stands for itself alone", async () => {
    const shapes = special.flatMap((one) => [`a${one}b`, one, one + one, `${one}ab${one}`, `\\${one}`]);
    const words = [
      ...new Set([...shapes, ...randomWords(30), "^a.*$", "^.*$", "^$", "$", "''", '""', "ALL", "sudoedit", "*", "a*b?[c]"]),
    ];
    const nearOf = (word: string) => [
      ...[...word].map((_, at) => `${word.slice(0, at)}X${word.slice(at + 1)}`),
      ...[...word].map((_, at) => `${word.slice(0, at)}\\${word.slice(at)}`),
      `${word}X`,
      word.slice(1),
      `${word} X`,
    ];
    const near = [...new Set(words.flatMap(nearOf))].filter((word) => word !== "" && !words.includes(word));
    const commands = words.map((word) => ({ path: show, args: [word] }));
    await ruled(host, "characters", { commands }, async (rule) => {
      expect(
        await sudoAll(
          host,
          "myself",
          words.map((word) => [show, word]),
        ),
      ).toEqual(words.map((word) => `root:root <${word}>`));
      const wrong = await sudoAll(
        host,
        "myself",
        near.map((word) => [show, word]),
      );
      expect(near.filter((_, index) => wrong[index] !== refused)).toEqual([]);
      expect(wrong).toHaveLength(near.length);
      expect(await sudo(host, "myself", show)).toBe(refused);
      expect(await rule.refresh()).toEqual({});
    });
  });

  test("arguments that begin with ^ and end with $ together are no regular expression", async () => {
    const commands = [
      { path: show, args: ["^a", "b.*$"] },
      { path: show, args: ["^[0-9]+$"] },
    ];
    await ruled(host, "no-regex", { commands }, async () => {
      expect(await sudo(host, "myself", show, "^a", "b.*$")).toBe("root:root <^a> <b.*$>");
      expect(await sudo(host, "myself", show, "^[0-9]+$")).toBe("root:root <^[0-9]+$>");
      const near = [["a", "b"], ["a", "bcd"], ["^a", "bcd"], ["7"], ["12"]];
      expect(
        await sudoAll(
          host,
          "myself",
          near.map((words) => [show, ...words]),
        ),
      ).toEqual(near.map(() => refused));
    });
  });
});

describe("a rule", () => {
  let host: LabHost;

  beforeAll(async () => {
    host = await start();
    await host.run("usermod -aG spicegrp mybro; echo myself:secret | chpasswd");
  });

  test("without arguments allows none", async () => {
    await ruled(host, "no-arguments", {}, async () => {
      expect(await sudo(host, "myself", show)).toBe("root:root");
      expect(
        await sudoAll(host, "myself", [
          [show, "x"],
          [show, ""],
          [show, '""'],
        ]),
      ).toEqual([refused, refused, refused]);
    });
  });

  test("holds for a path of every character that a path may have", async () => {
    const path = "/usr/local/bin/a_b.c+d@e%f~g-h";
    await host.run(`cp ${show} ${path}; cp ${show} /usr/local/bin/aXb.c+d@e%f~g-h`);
    await ruled(host, "path", { commands: [{ path }] }, async (rule) => {
      expect(await sudo(host, "myself", path)).toBe("root:root");
      expect(await sudo(host, "myself", "/usr/local/bin/aXb.c+d@e%f~g-h")).toBe(refused);
      expect(await rule.refresh()).toEqual({});
    });
  });

  test("asks for the user's password unless nopasswd", async () => {
    const withPassword = (password: string) =>
      host.run(`echo ${password} | sudo -k -S -p '' ${show} 2>/dev/null || echo refused`, { user: "myself" });
    await ruled(host, "password", { nopasswd: false }, async (rule) => {
      expect(await sudo(host, "myself", show)).toBe(refused);
      expect((await withPassword("wrong")).stdout).toBe("refused\n");
      expect((await withPassword("secret")).stdout).toBe("root:root\n");
      expect(await rule.up(argsOf(host, { nopasswd: true }))).toBe(true);
      expect(await sudo(host, "myself", "-k", show)).toBe("root:root");
    });
  });

  test("with noexec starts no other program", async () => {
    const commands = [{ path: "/usr/bin/env", args: ["/bin/echo", "started"] }];
    const call = ["/usr/bin/env", "/bin/echo", "started"];
    await ruled(host, "noexec", { commands }, async (rule) => {
      expect(await sudo(host, "myself", ...call)).toBe("started");
      expect(await rule.up(argsOf(host, { commands, noexec: true }))).toBe(true);
      expect(await sudo(host, "myself", ...call)).toContain("Permission denied");
    });
  });

  test("takes variables from the user with setenv only, or those that commandDefaults keep, for that command", async () => {
    const commands = [{ path: show }, { path: other }];
    const set = ["KEPT=1", "DROPPED=2", show];
    const inherited = (path: string) => sudoAll(host, "myself", [[path]], "export KEPT=1 DROPPED=2");
    await ruled(host, "environment", { commands }, async (rule) => {
      expect(await sudo(host, "myself", ...set)).toBe(refused);
      expect(await inherited(show)).toEqual(["root:root"]);
      expect(await rule.up(argsOf(host, { commands, setenv: true }))).toBe(true);
      expect(await sudo(host, "myself", ...set)).toBe("root:root KEPT=1 DROPPED=2");
      expect(await rule.up(argsOf(host, { commands: [{ path: show }], commandDefaults: { env_keep: ["KEPT"] } }))).toBe(true);
      await ruled(host, "environment-of-another", { commands: [{ path: other }] }, async () => {
        expect(await inherited(show)).toEqual(["root:root KEPT=1"]);
        expect(await inherited(other)).toEqual(["root:root"]);
      });
      expect(await sudo(host, "myself", ...set)).toBe(refused);
      expect(await rule.refresh()).toEqual({});
    });
  });

  test("holds for all of its users and the members of its groups", async () => {
    await ruled(host, "many", { users: ["plain", "asks"], groups: ["spicegrp"] }, async (rule) => {
      const answers = await Promise.all(["plain", "mybro"].map((user) => sudo(host, user, show)));
      expect(answers).toEqual(["root:root", "root:root"]);
      expect(await sudo(host, "asks", show)).toBe("root:root");
      expect(await sudo(host, "myself", show)).toBe(refused);
      expect(await rule.refresh()).toEqual({});
    });
  });

  test("for users who do not exist yet shows it in refresh, and holds once they do", async () => {
    await ruled(host, "to-come", { users: ["newcomer"] }, async (rule) => {
      expect(JSON.stringify(await rule.refresh())).toContain(`overridden: newcomer: ${show}`);
      await host.run("useradd -m newcomer; sleep 2.1");
      try {
        expect(await sudo(host, "newcomer", show)).toBe("root:root");
        expect(await rule.refresh()).toEqual({});
      } finally {
        await host.run("userdel -r newcomer 2>/dev/null");
      }
    });
  });
});

describe("what somebody changed", () => {
  let host: LabHost;

  beforeAll(async () => {
    host = await start();
  });

  test.each([
    ["mode 0666", "chmod 666 FILE", ["0666, not 0440"]],
    ["mode 0644", "chmod 644 FILE", ["0644, not 0440"]],
    ["the owner", "chown myself FILE", ["owner", "not root:root"]],
    ["a line", `sed -i 's,NOPASSWD: \\(.*\\) ${show} .*,NOPASSWD: \\1 ${show},' FILE`, [`50 allow 001 ${show}`, "added #1"]],
    ["one line more", "echo 'myself ALL=(ALL) NOPASSWD: ALL' >>FILE", ["added #1", "NOPASSWD: ALL"]],
    [
      "a link in the file's place",
      "mv FILE /root/moved; echo '# elsewhere' >>/root/moved; ln -s /root/moved FILE",
      ["replaced by a link"],
    ],
  ])("is seen by refresh, by the next one too, and repaired: %s", async (what, tamper, words) => {
    const name = `tampered-${what.split(" ").join("-")}`;
    await ruled(host, name, {}, async (rule) => {
      const path = pathOf(name);
      const read = async () => (await host.run(`stat -c '%A %U:%G' ${path}; cat ${path}`)).stdout;
      const before = await read();
      await host.run(tamper.replaceAll("FILE", path));
      for (const wait of ["true", "sleep 2.1"]) {
        await host.run(wait);
        const found = JSON.stringify(await rule.refresh());
        for (const word of words) expect(found).toContain(word);
      }
      expect(await rule.up(argsOf(host, {}))).toBe(true);
      expect(await read()).toBe(before);
      // Nothing was written through the link.
      if (tamper.includes("/root/moved")) expect((await host.run("tail -n 1 /root/moved")).stdout).toBe("# elsewhere\n");
      expect(await sudo(host, "myself", show)).toBe("root:root");
      expect(await sudo(host, "myself", show, "x")).toBe(refused);
      expect(await rule.refresh()).toEqual({});
      expect(await rule.up(argsOf(host, {}))).toBe(false);
    });
  });

  test("a deleted file is gone for refresh, and made again", async () => {
    await ruled(host, "deleted", {}, async (rule) => {
      expect(await rule.refresh()).toEqual({});
      await host.run(`rm ${pathOf("deleted")}; sleep 2.1`);
      expect(await sudo(host, "myself", show)).toBe(refused);
      expect(await rule.refresh()).toBe("gone");
      const again = async (made: Driven) => {
        expect(await sudo(host, "myself", show)).toBe("root:root");
        expect(await made.refresh()).toEqual({});
      };
      await ruled(host, "deleted", {}, again, createInNextRun());
    });
  });

  test("a later file that takes the right away is seen as long as it does", async () => {
    await ruled(host, "overridden", {}, async (rule) => {
      await host.run(`echo 'myself ALL=(root) !${show}' >/etc/sudoers.d/zz-later; chmod 440 /etc/sudoers.d/zz-later`);
      try {
        expect(await sudo(host, "myself", show)).toBe(refused);
        for (const wait of ["true", "sleep 2.1"]) {
          await host.run(wait);
          expect(await rule.refresh()).toMatchObject({
            [`overridden: myself: ${show}`]: { found: "sudo refuses it: another file of sudoers comes later and wins" },
          });
        }
      } finally {
        await host.run("rm /etc/sudoers.d/zz-later");
      }
      expect(await rule.up(argsOf(host, {}))).toBe(true);
      expect(await sudo(host, "myself", show)).toBe("root:root");
      expect(await rule.refresh()).toEqual({});
    });
  });

  test("a broken file of somebody else's stops no rule; a rule that sudo would not read is refused", async () => {
    await host.run(
      "echo 'this is no sudoers line' >/etc/sudoers.d/a-broken; echo '# fine' >/etc/sudoers.d/a-readable; chmod 644 /etc/sudoers.d/a-readable",
    );
    try {
      await ruled(host, "beside-broken", {}, async (rule) => {
        const { stdout } = await host.run(`sudo -n ${show} 2>/dev/null`, { user: "myself" });
        expect(stdout).toBe("root:root\n");
        expect(await rule.refresh()).toEqual({});
        const worse = () => Driven.create("SudoRule", "worse", argsOf(host, { commandDefaults: { nosuchsetting: true } }));
        expect(await refusal(host, worse)).toMatch(/visudo: .*nosuchsetting.*\[rejected\]/);
      });
    } finally {
      await host.run("rm /etc/sudoers.d/a-broken /etc/sudoers.d/a-readable");
    }
  });

  test("a file of somebody else's at the rule's own path is left alone, and named", async () => {
    const path = pathOf("taken");
    await host.run(`echo '# mine' >${path}; chmod 440 ${path}`);
    expect(await refusal(host, () => Driven.create("SudoRule", "taken", argsOf(host, {})))).toContain(
      `${path} is there already and not ours; \`adopt: true\` takes it over, and delete puts it back [not-owned]`,
    );
    await host.run(`rm ${path}`);
    const holds = async () => expect(await sudo(host, "myself", show)).toBe("root:root");
    await ruled(host, "taken", {}, holds, createInNextRun());
  });
});

describe("the right by which the connection itself becomes root", () => {
  let host: LabHost;

  beforeAll(async () => {
    host = await start();
  });

  test.each([
    ["password", { nopasswd: false }],
    ["terminal", { commandDefaults: { requiretty: true } }],
  ])("is not taken away by a rule that asks for a %s", async (what, args) => {
    const rule = (more: Props) => ({ users: ["deploy"], commands: [{ path: program, args: ["version"] }], ...more });
    const why = await refusal(host, () => Driven.create("SudoRule", `asks-for-${what}`, argsOf(host, rule(args))));
    expect(why).toContain(`it would take away the right by which this very connection works (sudo -n ${program} as deploy): `);
    expect(why).toMatch(/\[rejected\]$/);
    await ruled(host, `without-${what}`, rule({}), async (kept) => expect(await kept.refresh()).toEqual({}));
  });

  test("is not taken away by the delete of the rule that gives it", async () => {
    // Whoever may do all with a password may do this without one, as long as the rule stands.
    const gives = argsOf(host, {
      users: ["deploy"],
      commands: [{ path: program, args: ["version"] }],
      commandDefaults: { authenticate: false },
    });
    const rule = await Driven.create("SudoRule", "gives", gives);
    await host.run("echo 'deploy ALL=(ALL:ALL) ALL' >/etc/sudoers.d/deploy");
    const why = await refusal(host, () => rule.delete());
    expect(why).toContain("it would take away the right by which this very connection works");
    expect(why).toContain("`retainOnDelete: true` forgets the resource and leaves its file on the host.");
    expect(await refusal(host, () => rule.up({ ...gives, commandDefaults: {}, nopasswd: false }))).toContain(
      "it would take away the right",
    );
    await host.run("echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy");
    await rule.delete();
    expect((await host.run("ls /etc/sudoers.d")).stdout).not.toContain("gives");
  });
});

describe.each(["bookworm", "trixie"] as const)("on %s refresh", (suite) => {
  let host: LabHost;
  const warnings: string[] = [];
  const status = jest.requireActual<typeof Status>("../../dist/providers/status");
  const silent = () => undefined;

  beforeAll(async () => {
    host = await start(suite);
  });
  beforeEach(() => {
    warnings.splice(0);
    jest.spyOn(status, "reporterFor").mockReturnValue({ status: silent, note: silent, warning: (text) => warnings.push(text) });
  });
  afterEach(() => jest.restoreAllMocks());

  test("names other rules by which a user may run the program, and whose password sudo asks for, and up has nothing to do", async () => {
    const args = argsOf(host, { nopasswd: false, commands: [{ path: show, args: ["one"] }] });
    const rule = await Driven.create("SudoRule", "wider", args);
    expect(await rule.refresh()).toEqual({});
    expect(warnings).toEqual([]);
    await host.run(
      `printf 'Defaults targetpw\\nmyself ALL=(mybro) ${show}\\nmyself ALL=(root) /usr/bin/who\\nplain ALL=(ALL) ALL\\n' >/etc/sudoers.d/00-wide; chmod 440 /etc/sudoers.d/00-wide; sleep 1.1`,
    );
    expect(await rule.refresh()).toEqual({});
    expect(warnings).toEqual([
      "sudo asks myself for the password of the user to run as, not for his own, since another file of sudoers sets targetpw",
      `myself may also run ${show} with other arguments, or any as mybro, by ${suite === "trixie" ? "/etc/sudoers.d/00-wide" : "another file of sudoers"}`,
    ]);
    expect(await rule.up(args)).toBe(false);
    await host.run("rm /etc/sudoers.d/00-wide");
    await rule.delete();
  });

  test("shows no argument of a rule to other users, in the list of processes", async () => {
    const rule = await Driven.create("SudoRule", "argument", argsOf(host, { commands: [{ path: show, args: ["pl4nted"] }] }));
    await host.run(`cat >/tmp/watch.pl; setsid -f perl /tmp/watch.pl >/tmp/watch.out 2>/dev/null </dev/null`, {
      user: "plain",
      stdin: `$| = 1; my %seen; while (!-e "/tmp/watch.stop") { for my $f (glob "/proc/[0-9]*/cmdline") { open(F, "<", $f) or next; my $c = <F>; close F;
          next unless defined $c && $c =~ /pl4nted/; $c =~ tr/\\0/ /; print "$c\\n" unless $seen{$c}++ } }`,
    });
    for (let look = 0; look < 3; look++) {
      await host.run("sleep 1.1");
      expect(await rule.refresh()).toEqual({});
    }
    expect((await host.run("cat /tmp/watch.out")).stdout).toBe("");
    // The control: who asks by the command line shows it.
    await host.run(`for i in $(seq 50); do sudo -n -l -U myself -u root ${show} pl4nted; done; touch /tmp/watch.stop`);
    expect((await host.run("cat /tmp/watch.out")).stdout).toContain(`${show} pl4nted`);
    await rule.delete();
  });
});
