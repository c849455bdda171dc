import * as pulumi from "@pulumi/pulumi";
import { defaultsOf, lifecycleOf } from "../../src/providers/lifecycle";
import { kinds } from "../../src/providers/registry";
import { confirmedOf, driftOf } from "../../src/providers/stored";
import { samples } from "../contract/samples";

const UNKNOWN = pulumi.runtime.unknownValue;
const access = { connection: { host: "gw1.example.org", user: "deploy" }, become: true };
const origin = (name: string) => ({ __origin: { project: "p", stack: "s", name } });

describe.each([...kinds.keys()])("check and diff of %s", (kind) => {
  const spec = kinds.get(kind);
  if (!spec) throw new Error(`no kind ${kind}`);
  const { check, diff } = lifecycleOf(spec) as Required<pulumi.dynamic.ResourceProvider>;
  const args = { ...access, ...samples.find((sample) => sample.kind === kind)?.args };
  const own = Object.keys(spec.schema.shape);

  test.each(own)("an unknown %s makes the rules unknown, and nothing wrong", async (key) => {
    const { inputs, failures } = (await check({}, { ...args, ...origin(`u-${key}`), [key]: UNKNOWN })) as {
      inputs: Record<string, unknown>;
      failures?: unknown[];
    };
    expect(failures ?? []).toEqual([]);
    expect(inputs["rules"]).toBe(UNKNOWN);
    expect(inputs[key]).toBe(UNKNOWN);
  });

  test("an unknown host leaves the rules known: they do not depend on it", async () => {
    const { inputs } = (await check({}, { ...args, ...origin("uh"), connection: { host: UNKNOWN } })) as {
      inputs: Record<string, unknown>;
    };
    expect(inputs["rules"]).toEqual(expect.objectContaining({}));
    expect(inputs["rules"]).not.toBe(UNKNOWN);
  });

  test("what is known is checked beside what is not", async () => {
    const { failures } = await check({}, { ...args, ...origin("uk"), connection: UNKNOWN, become: "yes", nonsense: 1 });
    expect(failures?.map(({ property }) => property).sort()).toEqual(["become", "nonsense"]);
  });

  test("diff answers nothing of its own to changed or unknown inputs, false to equal ones, true to drift alone", async () => {
    const { inputs } = (await check({}, { ...args, ...origin("d") })) as { inputs: Record<string, unknown> };
    const rules = inputs["rules"] as Record<string, string>;
    const outputs = { ...inputs, applied: { files: {} }, machineId: "m" };
    expect(await diff("id", outputs, inputs)).toEqual({ changes: false });
    expect(await diff("id", outputs, { ...inputs, rules: UNKNOWN })).toEqual({});
    expect(await diff("id", outputs, { ...inputs, connection: { host: "gw2.example.org" } })).toEqual({});
    const drifted = { ...rules, "not ours": "x" };
    const seen = { rules: drifted, __drift: { "not ours": "" } };
    expect(await diff("id", { ...outputs, ...seen }, { ...inputs, rules: drifted })).toEqual({ changes: true });
    // As states of 0.1.0 have it.
    const old = { ...outputs, applied: { files: {}, rules } };
    expect(await diff("id", old, inputs)).toEqual({ changes: false });
    expect(await diff("id", { ...old, rules: drifted }, { ...inputs, rules: drifted })).toEqual({ changes: true });
    // Created, and nobody knows whether it stands.
    expect(await diff("id", { ...inputs }, inputs)).toEqual({ changes: true });
  });

  test("what the program leaves out is not shown, and is what it says where it says the default; an older state's defaults stay as they are", async () => {
    const defaults = defaultsOf(spec);
    const left = Object.fromEntries(Object.entries(args).filter(([key]) => !(key in defaults)));
    const given = (say: object, olds = {}) =>
      check(olds, { ...left, ...origin("l"), ...say }) as Promise<{ inputs: Record<string, unknown>; failures?: unknown[] }>;
    const { inputs: short, failures } = await given({});
    if (failures !== undefined) return; // One of them has to be said.
    expect(Object.keys(short).filter((key) => key in defaults)).toEqual([]);

    const { inputs: long } = await given(defaults);
    expect(long).toMatchObject(defaults);
    const stands = { applied: { files: {} }, machineId: "m" };
    expect(await diff("id", { ...long, ...stands }, short)).toEqual({ changes: false });
    expect(await diff("id", { ...short, ...stands }, long)).toEqual({ changes: false });
    expect((await given({}, long)).inputs).toEqual(long);
    // Not so what was something else.
    for (const key of Object.keys(defaults))
      expect((await given({}, { ...long, [key]: "other" })).inputs).not.toHaveProperty(key);
  });

  test("nothing that check returns is undefined", async () => {
    const { inputs } = (await check({}, { ...args, ...origin("w"), machine: undefined })) as { inputs: Record<string, unknown> };
    const { __provider, ...rest } = inputs;
    expect(__provider).toBeUndefined();
    expect(JSON.parse(JSON.stringify(rest))).toStrictEqual(rest);
  });

  test("the same object twice in one program is refused, and the same resource checked twice is not", async () => {
    const urn = (name: string) => `urn:pulumi:s::p::pulumi-nodejs:dynamic/drawbridge:${kind}::${name}`;
    const first = { ...args, ...origin("twice"), __urn: urn("a$twice") };
    expect((await check({}, first)).failures ?? []).toEqual([]);
    expect((await check({}, first)).failures ?? []).toEqual([]);
    expect((await check({}, { ...first, __urn: urn("b$twice") })).failures).toEqual([
      { property: "name", reason: expect.stringContaining("declares the same object on the same host") as unknown },
    ]);
  });
});

test("what was confirmed is read out of the rules and their drift, whatever has gone, come or changed", () => {
  const confirmed = { gone: "a", changed: "b", kept: "c" };
  const rules = { changed: "x", kept: "c", come: "y" };
  const drift = driftOf(confirmed, rules);
  expect(drift).toEqual({ gone: "a", changed: "b", come: "" });
  expect(confirmedOf({ applied: { files: {} }, rules, __drift: drift })?.rules).toEqual(confirmed);
  expect(driftOf(confirmed, { kept: "c", gone: "a", changed: "b" })).toBeUndefined();
  expect(confirmedOf({ rules })).toBeUndefined();
});

test("who looks for address translation is told that there is none, and what a rule sees", async () => {
  const spec = kinds.get("Allow");
  if (!spec) throw new Error("no kind Allow");
  const { check } = lifecycleOf(spec) as Required<pulumi.dynamic.ResourceProvider>;
  const args = { ...access, hook: "forward", protocol: "tcp", ports: [443], dnat: "10.0.1.2:8443" };
  const { failures } = await check({}, { ...args, ...origin("dnat") });
  expect(failures).toEqual([
    { property: "dnat", reason: expect.stringMatching(/translates no addresses.*behind destination NAT/) as string },
  ]);
});
