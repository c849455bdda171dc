import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven, type Props } from "./drive";
import { defineTestGate } from "./gate-kind";

// In the lab a reboot is: the kernel forgets its rules, and the units' commands run.
const REBOOT = "nft flush ruleset; drawbridge-host settle; drawbridge-host load";
const PORT = 7001;
/** Outside of `PORTS` of the gate: the positive control of what it drops. */
const FREE_PORT = 7777;
const [INSIDE, OTHER, STRANGER] = ["203.0.113.2", "203.0.113.3", "203.0.113.4"] as const;

beforeAll(() => defineTestGate());

describe.each(["bookworm", "trixie"] as const)("fragments on Debian %s", (suite) => {
  let host: LabHost;
  let before: string;

  beforeAll(async () => {
    host = await startHost({ suite });
    await host.outside([INSIDE, OTHER, STRANGER].map((address) => `ip address replace ${address}/32 dev labsw`).join("; "));
    for (const port of [PORT, FREE_PORT])
      await host.run(`setsid -f sh -c 'while :; do nc -4 -N -l ${port} </dev/null; done' >/dev/null 2>&1 </dev/null`);
    before = await host.fingerprint();
  });
  afterAll(async () => {
    const after = await host.fingerprint();
    await host.down();
    expect(after).toBe(before);
  });

  const part = (name: string, args: Props) => Driven.create("TestGate", name, argsOf(args));
  const argsOf = (args: Props) => ({ ...accessOf(host), ...args });
  /** Does something behind our back; whoever looks then looks anew, as another run would. */
  const tamper = async (script: string) => {
    await host.run(script);
    closeConnections();
  };
  /** Whether a connection from the address is taken; another port of the same host is, at the same moment. */
  const passes = async (from: string) => {
    const connects = async (port: number) => {
      // A listener of one connection after the other is away for a moment.
      const script = `for n in 1 2 3; do nc -z -w 1 -s ${from} ${host.address} ${port} && exit 0; sleep 0.2; done; exit 1`;
      return (await host.outside(script, { allowFailure: true })).code === 0;
    };
    expect(await connects(FREE_PORT)).toBe(true);
    return connects(PORT);
  };

  test("phases are asked in their order, whichever came first, and an allow alone waits", async () => {
    const allow = await part("allow", { part: "allow" });
    expect(await passes(STRANGER)).toBe(true);
    const { stdout: waiting } = await host.run("drawbridge-host status");
    expect(waiting).toContain("waits for the set office");
    const gate = await part("gate", { part: "gate" });
    // The set that the allow names is nobody's yet, and so it allows nothing.
    expect(await passes(INSIDE)).toBe(false);
    const set = await part("set", { part: "set", elements: [INSIDE] });
    expect(await passes(INSIDE)).toBe(true);
    expect(await passes(STRANGER)).toBe(false);
    // Behind all others, and asked before them: of a set that nobody declares, everybody is denied.
    const deny = await part("deny", { part: "deny", set: "suspects" });
    expect(await passes(INSIDE)).toBe(false);
    const suspects = await part("suspects", { part: "set", set: "suspects", elements: [OTHER] });
    expect(await passes(INSIDE)).toBe(true);
    await suspects.up(argsOf({ part: "set", set: "suspects", elements: [INSIDE] }));
    expect(await passes(INSIDE)).toBe(false);
    for (const one of [allow, gate, set, deny, suspects]) expect(await one.refresh()).toEqual({});
    expect((await host.run("drawbridge-host status")).stdout).not.toContain("waits");
    for (const one of [deny, suspects, allow, set, gate]) await one.delete();
  });

  test("a set has what all its givers give, and a member leaves with the last of them", async () => {
    const [giver, gate, allow] = await Promise.all([
      part("giver", { part: "giver", elements: [OTHER] }),
      part("gate", { part: "gate" }),
      part("allow", { part: "allow" }),
    ]);
    expect(await passes(OTHER)).toBe(false);
    expect(await giver.refresh()).toEqual({});
    const set = await part("set", { part: "set", elements: [OTHER, INSIDE] });
    expect([await passes(OTHER), await passes(INSIDE), await passes(STRANGER)]).toEqual([true, true, false]);
    await set.up(argsOf({ part: "set", elements: [INSIDE] }));
    expect(await passes(OTHER)).toBe(true);
    await giver.delete();
    expect([await passes(OTHER), await passes(INSIDE)]).toEqual([false, true]);
    // Of another type: single addresses.
    await set.up(argsOf({ part: "set", elements: [OTHER], flags: [] }));
    expect([await passes(OTHER), await passes(INSIDE)]).toEqual([true, false]);
    // Its members would leave the allow without a word.
    await expect(set.delete()).rejects.toThrow(/the set office is still named by rules of \S*allow/);
    expect(await passes(OTHER)).toBe(true);
    await Promise.all([set, allow, gate].map((one) => one.delete()));
  });

  test("an element, a set and a helper that somebody changes are drift by name, and up puts them right", async () => {
    const set = await part("set", { part: "set", elements: [INSIDE, "198.51.100.0/24"] });
    const giver = await part("giver", { part: "giver", elements: [OTHER] });
    const helper = await part("helper", { part: "helper" });
    const table = "inet drawbridge";
    await tamper(`nft delete element ${table} office '{ ${OTHER} }'; nft add element ${table} office '{ ${STRANGER} }'`);
    expect(await giver.refresh()).toEqual({ [`inet element office ${OTHER}`]: { wanted: "inet: in office", found: undefined } });
    expect(await set.refresh()).toEqual({
      [`inet element office ${STRANGER}: not ours, in our set`]: { wanted: undefined, found: STRANGER },
    });
    expect(await set.up(argsOf({ part: "set", elements: [INSIDE, "198.51.100.0/24"] }))).toBe(true);
    expect(await set.refresh()).toEqual({});
    expect(await giver.refresh()).toEqual({});
    await tamper(`nft flush set ${table} office`);
    expect(Object.keys(await set.refresh()).sort()).toEqual([
      "inet element office 198.51.100.0/24",
      `inet element office ${INSIDE}`,
    ]);
    await set.up(argsOf({ part: "set", elements: [INSIDE, "198.51.100.0/24"] }));
    await tamper(
      `nft delete set ${table} office; nft list table ${table} | sed -n 's/.*ct helper \\(.*\\) {/\\1/p' | xargs nft delete ct helper ${table}`,
    );
    expect(Object.keys(await set.refresh())).toContain("inet set office");
    expect(Object.keys(await helper.refresh())).toEqual(["inet ct helper ….tftp"]);
    await helper.up(argsOf({ part: "helper" }));
    for (const one of [set, giver, helper]) expect(await one.refresh()).toEqual({});
    for (const one of [set, giver, helper]) await one.delete();
  });

  test("boot loads a table without what only opens, where it does not load with it, and names that", async () => {
    const helper = await part("helper", { part: "helper" });
    const made = [
      await part("gate", { part: "gate" }),
      await part("set", { part: "set", elements: [INSIDE] }),
      await part("allow", { part: "allow" }),
      helper,
    ];
    await host.run(REBOOT);
    expect([await passes(INSIDE), await passes(STRANGER)]).toEqual([true, false]);
    await host.run('sed -i \'s/type "tftp"/type "nonesuch"/\' /etc/drawbridge/nft/inet-drawbridge/*helper*.nft');
    const { code, stderr } = await host.run(REBOOT, { allowFailure: true });
    expect(code).not.toBe(0);
    const leftOut = /stands without what only opens: .*allow.* .*helper/;
    expect(stderr).toMatch(leftOut);
    expect((await host.run("drawbridge-host status")).stdout).toMatch(leftOut);
    // What only lets pass is gone; what is judged is not open.
    expect([await passes(INSIDE), await passes(STRANGER)]).toEqual([false, false]);
    expect(Object.keys(await helper.refresh())).not.toEqual([]);
    await helper.up(argsOf({ part: "helper" }));
    expect(await passes(INSIDE)).toBe(true);
    expect((await host.run("drawbridge-host status")).stdout).not.toMatch(leftOut);
    await host.run("drawbridge-host load");
    expect((await host.run("drawbridge-host status")).stdout).not.toMatch(leftOut);
    for (const one of made) expect(await one.refresh()).toEqual({});
    await Promise.all(made.map((one) => one.delete()));
  });

  test("boot without the file of a set: what is allowed by it is nobody", async () => {
    const set = await part("set", { part: "set", elements: [INSIDE] });
    const made = [await part("gate", { part: "gate" }), set, await part("allow", { part: "allow" })];
    await host.run("rm /etc/drawbridge/nft/inet-drawbridge/*set*.nft");
    await host.run(REBOOT);
    expect([await passes(INSIDE), await passes(STRANGER)]).toEqual([false, false]);
    expect(Object.keys(await set.refresh())).toContainEqual(expect.stringMatching(/^file .*set.*\.nft$/));
    await set.up(argsOf({ part: "set", elements: [INSIDE] }));
    expect(await passes(INSIDE)).toBe(true);
    await Promise.all(made.map((one) => one.delete()));
  });

  test("where a table does not load at all, what it judges is dropped and what it says passes", async () => {
    const gate = await part("gate", { part: "gate" });
    await host.run("sed -i 's/counter name/nonesuch name/' /etc/drawbridge/nft/inet-drawbridge/*gate*.nft");
    const { code, stderr } = await host.run(REBOOT, { allowFailure: true });
    expect(code).not.toBe(0);
    expect(stderr).toContain("table inet drawbridge did not load");
    expect(await passes(STRANGER)).toBe(false);
    expect((await host.run(`nc -z -w 1 127.0.0.1 ${PORT}`, { allowFailure: true })).code).toBe(0);
    expect(Object.keys(await gate.refresh())).not.toEqual([]);
    const status = () => host.run("drawbridge-host status");
    expect((await status()).stdout).toContain("table inet drawbridge did not load");
    await gate.up(argsOf({ part: "gate" }));
    expect(await gate.refresh()).toEqual({});
    expect((await status()).stdout).not.toContain("did not load");
    expect(await passes(STRANGER)).toBe(false);
    await gate.delete();
  });

  test("nft takes every text of the table-maker's cases", async () => {
    const folder = join(__dirname, "..", "cases", "table-maker");
    for (const story of readdirSync(folder)) {
      const isRefused = story.endsWith("is-refused-by-nft");
      // The lab's kernel does not tell rules by which bridge a frame goes.
      const text = readFileSync(join(folder, story, "out.nft"), "utf8").replaceAll("meta ibrname ", "iifname ");
      const stands = [...text.matchAll(/device "([^"]+)"/g)].map(([, device]) => `ip link add ${device} type veth;`).join(" ");
      const { code, stderr } = await host.run(`unshare -n sh -c '${stands} nft -f -' <<'TEXT'\n${text}\nTEXT`, {
        allowFailure: true,
      });
      if (isRefused) expect([story, stderr]).toEqual([story, expect.stringContaining("syntax error")]);
      else expect({ story, code, stderr }).toEqual({ story, code: 0, stderr: "" });
    }
  });
});
