import type * as Status from "../../dist/providers/status";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven, type Props } from "../lab/drive";

/** A plain user with a shell, who wants to be root, or to keep others from their work. */
const mallory = "mallory";

let host: LabHost;
beforeAll(async () => {
  host = await startHost();
  await host.run(`useradd -m -s /bin/sh ${mallory}
    echo precious >/etc/precious; chmod 600 /etc/precious
    cp /usr/bin/id /root/id-before`);
});
afterAll(() => host.down());

const on = (own: Props): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, ...own });
const output = async (script: string, user?: string) =>
  (await host.run(script, user === undefined ? {} : { user })).stdout.trim();
const his = (script: string) => output(script, mallory);

/** What he must not have changed. */
const rootsOwn = () =>
  output(
    "stat -c '%n %U:%G %a %h' /etc/precious /etc/shadow /etc/passwd /usr/bin/id; cat /etc/precious; cmp /usr/bin/id /root/id-before",
  );

/** Links to a file of root's under all names that he can foresee, and in the place of the file itself. */
const plant = (folder: string) =>
  `perl -e 'for (1..40000) { symlink("/etc/precious", "${folder}/.drawbridge.$_.new") }
    symlink("/etc/precious", "${folder}/.drawbridge.$_") for "undo", "new", "run";'`;

/** A program of root's in a folder of root's, guarded. */
async function guarded(name: string, own: Props = {}): Promise<{ folder: string; file: Driven; args: Props }> {
  const folder = `/opt/${name}`;
  await host.run(`mkdir ${folder}; printf '#!/bin/sh\\necho app\\n' >${folder}/run; chmod 755 ${folder}/run`);
  const args = on({ path: `${folder}/run`, mode: "0755", content: "#!/bin/sh\necho guarded\n", adopt: true, ...own });
  return { folder, file: await Driven.create("GuardedFile", name, args), args };
}

/** What the user of Pulumi is warned of. */
const warnings: string[] = [];
const status = jest.requireActual<typeof Status>("../../dist/providers/status");
const silent = () => undefined;
jest.spyOn(status, "reporterFor").mockReturnValue({ status: silent, note: silent, warning: (text) => warnings.push(text) });

describe("a folder that has become his, with links of his in it,", () => {
  test("is left alone by update, look and delete, which say so", async () => {
    const before = await rootsOwn();
    const { folder, file, args } = await guarded("became");
    expect(await his(`${folder}/run`)).toBe("guarded");
    await host.run(`chown ${mallory} ${folder}`);
    await his(`cp ${folder}/run ${folder}/mine; chmod 666 ${folder}/mine; mv ${folder}/mine ${folder}/run; ${plant(folder)}`);
    await expect(file.up({ ...args, mode: "0711" })).rejects.toThrow(/path: \/opt\/became can be changed by the user mallory/);
    await host.run("sleep 1.1");
    expect(await file.refresh()).toMatchObject({
      "01 content": { found: "file /opt/became/run content unsafe" },
      "12 mode": { found: "file /opt/became/run mode unsafe" },
    });
    await file.delete();
    expect(warnings.join()).toMatch(/\/opt\/became\/run content: \/opt\/became can be changed by the user mallory/);
    expect(await rootsOwn()).toBe(before);
    expect(await output(`stat -c %U:%a ${folder}/run`)).toBe(`${mallory}:666`);
  });

  test("stops no look: a pipe in the place of the file keeps nobody waiting", async () => {
    const { folder, file, args } = await guarded("pipe");
    await host.run(`chown ${mallory} ${folder}`);
    await his(`rm ${folder}/run; mkfifo ${folder}/run`);
    await host.run("sleep 1.1");
    expect(Object.keys(await file.refresh())).toContain("01 content");
    // The control: whoever opens it does wait.
    expect(await output(`timeout 1 cat ${folder}/run || echo $?`)).toBe("124");
    // Root's again, and the pipe is still there.
    await host.run(`chown root ${folder}; sleep 1.1`);
    expect(await file.refresh()).toMatchObject({ "01 content": { found: "file /opt/pipe/run content other" } });
    await host.run(`rm ${folder}/run`);
    await file.up(args);
    expect(await his(`${folder}/run`)).toBe("guarded");
    await file.delete();
  });
});

describe("a file that the program makes his", () => {
  test("does not become a setuid program of root's with what he wrote", async () => {
    const { folder, file } = await guarded("setuid", { content: undefined, owner: mallory });
    await his(`cp /usr/bin/id ${folder}/run 2>/dev/null || cat /usr/bin/id >${folder}/run; chmod 4755 ${folder}/run`);
    // The control: the bit stands, and makes others him.
    expect(await output(`${folder}/run -un`, "plain")).toBe(mallory);
    await file.delete();
    expect(await output(`stat -c %U:%a ${folder}/run`)).toBe("root:755");
    expect(await output(`${folder}/run -un`, "plain")).toBe("plain");
    expect(warnings.join()).toMatch(/\/opt\/setuid\/run owner.* without the mode 04755: mallory, who had it, could have changed/);
  });

  test("is out of his reach once it is root's again, although he has it open for writing and under another name", async () => {
    const { folder, file } = await guarded("open", { content: undefined, owner: mallory });
    const path = `${folder}/run`;
    await his(`ln ${path} ~/kept; setsid -f sh -c 'exec 3>>${path}; : >~/opened; while [ ! -e ~/now ]; do sleep 0.05; done; echo echo his >&3; : >~/written' </dev/null >/dev/null 2>&1
      while [ ! -e ~/opened ]; do sleep 0.05; done`);
    await file.delete();
    await his("touch ~/now; while [ ! -e ~/written ]; do sleep 0.05; done");
    // The control: he has written into what he had.
    expect(await output(`cat ~${mallory}/kept; stat -c %U ~${mallory}/kept`)).toBe(`#!/bin/sh\necho app\necho his\n${mallory}`);
    expect(await output(`${path}; stat -c %U:%a:%h ${path}`)).toBe("app\nroot:755:1");
  });

  test("is not taken for a program with more rights than its own", async () => {
    await host.run("mkdir /opt/more; cp /usr/bin/id /opt/more/run; chmod 4755 /opt/more/run");
    await expect(
      Driven.create("GuardedFile", "more", on({ path: "/opt/more/run", owner: mallory, mode: "4755" })),
    ).rejects.toThrow(/owner: \/opt\/more\/run has the mode 4755, and mallory could change what runs/);
    const group = await Driven.create("GuardedFile", "more", on({ path: "/opt/more/run", group: mallory, mode: "4750" }));
    expect(await his("/opt/more/run -un")).toBe("root");
    await group.delete();
    expect(await output("stat -c %U:%G:%a /opt/more/run")).toBe("root:root:4755");
  });

  test.each([
    [
      "a lease on it",
      // F_SETLEASE, F_WRLCK: whoever opens the file waits until it is given up, 45 s at most.
      (path: string) =>
        `perl -e '$SIG{IO} = "IGNORE"; open(F, "+<", "${path}") or die $!; fcntl(F, 1024, 1) or die $!; if (fork) { exit } open(STDOUT, ">/dev/null"); open(STDERR, ">/dev/null"); sleep 600'`,
      "timeout 2 cat PATH >/dev/null || echo $?",
      "124",
    ],
    ["a file without an end", (path: string) => `truncate -s 4T ${path}`, "stat -c %s PATH", "4398046511104"],
    ["another name of it", (path: string) => `ln ${path} ~/another`, "stat -c %h PATH", "2"],
  ])("keeps nobody from looking, changing and deleting by %s", async (what, script, control, expected) => {
    const { folder, file, args } = await guarded(what.replaceAll(" ", "-"), { owner: mallory, mode: "0700" });
    const path = `${folder}/run`;
    await his(script(path));
    expect(await output(control.replace("PATH", path))).toBe(expected);
    await host.run("sleep 1.1");
    const started = Date.now();
    await file.refresh();
    await file.up({ ...args, content: "#!/bin/sh\necho later\n" });
    expect(await his(path)).toBe("later");
    await file.delete();
    expect(await output(`stat -c %U:%a ${path}; ${path}`)).toBe("root:755\napp");
    // A lock of the program is waited for 30 s at most.
    expect(Date.now() - started).toBeLessThan(120_000);
  });
});

describe("a sudo rule", () => {
  const rule = (own: Props): Props => ({ ...accessOf(host), users: ["myself"], nopasswd: true, ...own });
  const allow = (path: string, args: string[] = []) => ({ commands: [{ path: "/usr/bin/who" }, { path, args }] });

  test.each([
    ["a program of his", `install -D -o ${mallory} /usr/bin/id /opt/rule/his`, "/opt/rule/his", /^\/opt\/rule\/his/],
    ["a program in his folder", `install -d -o ${mallory} /opt/his; cp /usr/bin/id /opt/his/id`, "/opt/his/id", /^\/opt\/his/],
    [
      "a link to a link of his to root's program",
      `ln -s /usr/bin/id ~${mallory}/link; ln -s ../../../home/${mallory}/link /opt/rule/link`,
      "/opt/rule/link",
      /\/home\/mallory can be changed/,
    ],
    ["a program that he may bring", "true", `/home/${mallory}/bin/later`, /^\/home\/mallory/],
    ["a program for all to write", "install -m 0777 /usr/bin/id /opt/rule/all", "/opt/rule/all", /^\/opt\/rule\/all .* everyone/],
  ])("for %s is refused by the property", async (_what, script, path, place) => {
    await host.run(script);
    const refused = await Driven.create("SudoRule", "his", rule(allow(path))).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      failure: { code: "refused", reason: expect.stringContaining("commands[1].path: ") as unknown },
    });
    const { reason } = (refused as { failure: { reason: string } }).failure;
    expect(reason.replace(/^[^]*commands\[1\]\.path: /, "")).toMatch(place);
  });

  test("for what only root can bring, or what only the user it runs as can change, is not", async () => {
    await host.run(`install -D -o ${mallory} /usr/bin/id ~${mallory}/tool; chmod 755 ~${mallory}`);
    const later = await Driven.create("SudoRule", "later", rule(allow("/opt/none/none")));
    const ofHis = { runAsUser: mallory, ...allow(`/home/${mallory}/tool`, ["-un"]) };
    const own = await Driven.create("SudoRule", "own", rule(ofHis));
    expect(await output(`sudo -n -u ${mallory} /home/${mallory}/tool -un`, "myself")).toBe(mallory);
    expect([await later.refresh(), await own.refresh()]).toEqual([{}, {}]);
    await expect(own.up(rule({ ...ofHis, runAsGroup: "spicegrp" }))).rejects.toThrow(/commands\[1\]\.path: /);
    await Promise.all([later.delete(), own.delete()]);
  });

  test("whose program becomes his is drift until it is root's again, and no update goes on", async () => {
    await host.run("mkdir /opt/later; cp /usr/bin/id /opt/later/id");
    const args = rule(allow("/opt/later/id", ["-u"]));
    const made = await Driven.create("SudoRule", "becomes", args);
    await host.run(`chown ${mallory} /opt/later; sleep 1.1`);
    expect(await made.refresh()).toEqual({
      "changeable: /opt/later/id": {
        wanted: undefined,
        found: "/opt/later can be changed by the user mallory, who could put another program in its place",
      },
    });
    await expect(made.up(args)).rejects.toThrow(/commands\[1\]\.path: \/opt\/later can be changed by the user mallory/);
    await host.run("chown root /opt/later; sleep 1.1");
    expect(await made.refresh()).toEqual({});
    await made.delete();
  });
});

// The last one: after a lock-out this process spaces its connections out.
test("a folder that has become his is left alone by the undo, which says so and puts back what it can", async () => {
  const before = await rootsOwn();
  const { folder, file, args } = await guarded("undone");
  const cut = "nft 'add table ip cut { chain in { type filter hook input priority 0; tcp dport 22 ct state new drop; }; }'";
  const changing = file
    .up({ ...args, mode: "0711", content: "#!/bin/sh\necho later\n", confirmDeadlineSeconds: 6 })
    .catch(String);
  await host.run(`for i in $(seq 3000); do [ -d /var/lib/drawbridge/txn/*/ ] && break; sleep 0.01; done; ${cut}
      for i in $(seq 600); do grep -qs ^applied /run/drawbridge/results/* && break; sleep 0.01; done; grep later ${folder}/run; chown ${mallory} ${folder}`);
  await his(`mv ${folder}/run ${folder}/old; echo his >${folder}/run; ${plant(folder)}`);
  await host.run(
    "for i in $(seq 600); do ls -d /var/lib/drawbridge/not-undone-* 2>/dev/null && break; sleep 0.1; done; nft delete table ip cut",
  );
  expect(await changing).toMatch(/could not put back: .*\/opt\/undone\/run/);
  expect(await rootsOwn()).toBe(before);
  expect(await output(`stat -c %U ${folder}/run`)).toBe(mallory);
  // Root's again, with links of his still there: the next call puts it back.
  await host.run(
    `chown root ${folder}; rm ${folder}/run; cp ${folder}/old ${folder}/run; chown root ${folder}/run; chmod 711 ${folder}/run; drawbridge-host settle`,
  );
  expect(
    await output(`${folder}/run; stat -c %a ${folder}/run; ls -d /var/lib/drawbridge/not-undone-* 2>/dev/null || echo all`),
  ).toBe("guarded\n755\nall");
  expect(await rootsOwn()).toBe(before);
  await file.delete();
});
