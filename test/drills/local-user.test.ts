import { once } from "node:events";
import { type LabHost, startHost } from "../../tools/lab";
import { closePool } from "../../dist/host/pool";
import { type Outcome, type Part, Stack, transactionsOf, untilReached, waitFor } from "./drill";
import { gained, hisFile, hisFolder, learned, letHimLive, letHimWork, mallory, rest, waited } from "./local-user";
import { partsOfAllKinds, preparation } from "./parts";

const part = (kind: string, name: string, A: object, changed: object): Part => ({
  kind,
  name,
  id: Buffer.from(name).toString("hex").padEnd(32, "0").slice(-32),
  args: { A: { ...A }, B: { ...A, ...changed } },
});

/** A file in two states, with words by which what stands in it is known. */
const file = (name: string, own: object, marker: string) =>
  part("GuardedFile", name, { path: `/srv/guarded/${name}`, ...own, content: `${marker}-a\n` }, { content: `${marker}-b\n` });

const rule = (marker: string) => ({
  users: ["myself"],
  nopasswd: true,
  commands: [{ path: "/usr/bin/id", args: [marker] }],
});

/** What only root, or a group that he is not in, may read; as the control what all may; and a file that the program gives to him. */
const readable: readonly Part[] = [
  part("SudoRule", "argument", rule("marker-hidden-argument-a"), rule("marker-hidden-argument-b")),
  file("hidden", { mode: "0600" }, "marker-hidden-file"),
  file("hidden-group", { group: "spicegrp", mode: "0640" }, "marker-hidden-group"),
  file("open", { mode: "0644" }, "marker-open-file"),
  // Their content and who may read it change together, back again, and to what was found.
  ...["together", "adopted"].map((name) =>
    part(
      "GuardedFile",
      name,
      { path: `/srv/guarded/${name}`, mode: "0644", content: `marker-open-${name}\n`, adopt: true },
      { group: "spicegrp", mode: "0640", content: `marker-hidden-${name}\n` },
    ),
  ),
  part("GuardedFile", "his-own", { path: hisFile, owner: mallory, mode: "0700", content: "a\n" }, { content: "b\n" }),
];

/** Files of root's, whose folders become his. */
const below: readonly Part[] = ["run", "deep/run"].map((path) =>
  part(
    "GuardedFile",
    path.replace("/", "-"),
    { path: `${hisFolder}/${path}`, mode: "0755", content: "root's\n" },
    { mode: "0711" },
  ),
);

describe("a user with a shell, at work during every verb on all kinds,", () => {
  let host: LabHost;
  let stack: Stack;
  let lower: Stack;
  /** How the host was before anything of ours. */
  let bare: readonly string[];
  let gainedBefore: readonly string[];

  beforeAll(async () => {
    host = await startHost();
    await host.run(`${preparation}\nmkdir -m 700 /run/drill`);
    await letHimLive(host);
    await host.run("echo marker-hidden-found >/srv/guarded/adopted; chmod 600 /srv/guarded/adopted");
    stack = new Stack(host, [...(await partsOfAllKinds()), ...readable], 60);
    lower = new Stack(host, below, 60);
    bare = await rest(host);
    await done(lower.start("A"));
    await letHimWork(host);
    gainedBefore = await gained(host);
  });
  afterAll(async () => {
    closePool();
    await host.down();
  });

  const errorsOf = (outcomes: readonly Outcome[] | undefined) => outcomes?.flatMap(({ error }) => error ?? []) ?? ["no outcome"];
  const done = async ({ outcomes }: { outcomes: Promise<readonly Outcome[] | undefined> }) =>
    expect(errorsOf(await outcomes)).toEqual([]);

  /** He has no more rights, has kept nobody waiting, and knows nothing that he may not. */
  async function expectNothing(his: readonly string[]): Promise<void> {
    expect(await waited(host)).toEqual([]);
    expect((await learned(host)).filter((line) => line.includes("marker-hidden"))).toEqual([]);
    expect((await gained(host)).filter((line) => !his.includes(line))).toEqual(gainedBefore);
  }
  const given = [`his: ${hisFile}`];

  test("has nothing of a create", async () => {
    await done(stack.start("A"));
    await expectNothing(given);
    // The control: what all may read he has read.
    expect(await learned(host)).toContain("/srv/guarded/open, mode 0644: marker-open-file-a");
  });

  test("has nothing of a look", async () => {
    const found = await stack.refresh("A");
    // He does not let anybody read what is his own, and has given it another mode.
    expect(Object.entries(found).filter(([, lines]) => lines.length > 0)).toEqual([["his-own", ["01 content", "12 mode"]]]);
    expect(await lower.refresh("A")).toEqual({
      run: ["01 content", "12 mode", "13 acl"],
      "deep-run": ["01 content", "12 mode", "13 acl"],
    });
    await expectNothing(given);
  });

  test("has nothing of an update", async () => {
    await done(stack.start("B"));
    const refused = expect.stringContaining(`can be changed by the user ${mallory}`) as unknown;
    expect(errorsOf(await lower.start("B").outcomes)).toEqual([refused, refused]);
    await expectNothing(given);
    // The control: he has seen what stood there for a moment only.
    expect((await learned(host)).join("\n")).toMatch(/^\/srv\/guarded\/\.drawbridge\.[\w-]+, mode 0644: marker-open-file-b$/m);
  });

  test("has nothing of a rollback", async () => {
    const before = await rest(host);
    await host.run("echo applied >/run/drill/at");
    const provider = stack.start("A");
    await untilReached(host, "applied");
    provider.process.kill("SIGKILL");
    await once(provider.process, "exit");
    expect(await rest(host)).not.toEqual(before);
    await host.run("rm /run/drill/reached; drawbridge-host undo");
    await waitFor("the undo", 60, () => transactionsOf(host).length === 0);
    expect(await rest(host)).toEqual(before);
    await expectNothing(given);
  });

  test("has nothing of boot and of what is called at the console", async () => {
    const before = await rest(host);
    await host.run(`set -e; for command in settle load "load flushed" lift unlift status leaks "around /usr/sbin/nft flush ruleset"; do
      drawbridge-host $command
    done`);
    expect(await rest(host)).toEqual(before);
    await expectNothing(given);
  });

  test("has nothing of a delete", async () => {
    await done(stack.start("none"));
    await done(lower.start("none"));
    expect(await rest(host)).toEqual(bare);
    await expectNothing([]);
  });

  test("the control: would have been found out", async () => {
    // As a program would do it that has these faults; from standard input, since he reads command lines.
    const faulty = `cd /srv/guarded; echo marker-planted-file >/root/planted; cp /root/planted planted; chmod 600 planted
      echo marker-planted-later >planted; sh -c 'sleep 0.5; : marker-planted-words'; grep marker-planted-option /etc/hosts
      install -o ${mallory} /dev/null ${hisFile}; sleep 0.5
      for waits in "flock /etc/group true" "cat /tmp/lock" "cat ${hisFile}"; do timeout 1 $waits; done
      sh -c 'sleep 0.5' </home/${mallory}/learned
      cp /usr/bin/id /root/id; chmod 4755 /root/id; touch /tmp/roots; chown ${mallory} planted; echo lost >/tmp/drawbridge; true`;
    await host.run("exec sh", { stdin: faulty });
    const heard = (await learned(host)).filter((line) => line.includes("marker-planted"));
    expect(heard).toEqual(
      expect.arrayContaining([
        "/srv/guarded/planted, mode 0644: marker-planted-file",
        "/srv/guarded/planted, which was kept open: marker-planted-later",
        "the cmdline of a process: marker-planted-words",
        "the words of grep: marker-planted-option",
      ]),
    );
    const waits = (await waited(host)).join("\n");
    expect(waits).toMatch(/^waits for a lock of his: .*flock/m);
    expect(waits).toMatch(/^waits in \w+: .*cat \/tmp\/lock/m);
    expect(waits).toMatch(/^waits in \w*lease\w*: .*his-own/m);
    expect(waits).toMatch(/^has open \/home\/mallory\/learned: /m);
    const more = (await gained(host)).filter((line) => !gainedBefore.includes(line));
    expect(more).toEqual([
      "setuid /root/id root:root 4755",
      "of root, in a place of his: /tmp/roots",
      `his: ${hisFile}`,
      "his: /srv/guarded/planted",
      "lost",
    ]);
  });
});
