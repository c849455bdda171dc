import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expandNetworks } from "../../src/core/values/networks";
import { aggregate, contains, parsePrefix, type Prefix } from "../../src/core/values/prefix";

const page = readFileSync(join(__dirname, "../../docs/presets.md"), "utf8");

function prefixOf(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

/** The registries, as the page prints them. */
const blocks = [...page.matchAll(/^\| (\S+\/\d+) \| [^|]+ \| \d+ \| (no|yes|no value) +\| (\S.*?) +\|$/gm)].map(
  ([, text = "", reachable = "", preset = ""]) => ({ text, block: prefixOf(text), reachable, preset }),
);
const leftOut = [...(page.split("## What is left out")[1] ?? "").matchAll(/^\| ([0-9a-f.:]+\/\d+)/gm)].map(([, text = ""]) =>
  prefixOf(text),
);
const all = expandNetworks(["special-purpose"]);
const inside = (outer: Prefix) => all.filter((one) => contains(outer, one));

test("the page holds both registries", () => {
  expect(blocks.filter(({ block }) => block.bits === 32)).toHaveLength(25);
  expect(blocks.filter(({ block }) => block.bits === 128)).toHaveLength(25);
});

test.each(blocks.filter(({ reachable }) => reachable === "no"))(
  "$text is fenced by $preset, but for smaller blocks that are reachable or left out",
  ({ block, preset }) => {
    const own = blocks.filter((other) => contains(block, other.block) && other.preset !== preset).map((other) => other.block);
    const open = [...own, ...leftOut].filter((other) => contains(block, other));
    const covered = aggregate([...expandNetworks([preset]), ...open]);
    expect(covered.some((outer) => contains(outer, block))).toBe(true);
  },
);

test.each(blocks.filter(({ preset }) => preset === "none" || preset === "left out"))(
  "$text is not fenced, but for smaller blocks and what is embedded",
  ({ block }) => {
    const smaller = [...blocks.filter(({ preset }) => preset !== "none" && preset !== "left out").map((other) => other.block)];
    const known = [...smaller.filter((other) => other.length > block.length), ...expandNetworks(["embedded"])];
    expect(all.filter((outer) => contains(outer, block))).toEqual([]);
    expect(
      inside(block)
        .filter((one) => !known.some((outer) => contains(outer, one)))
        .map(({ text }) => text),
    ).toEqual([]);
  },
);

test("all that is fenced stands in a registry, or is private IPv4 inside IPv6", () => {
  const known = aggregate([
    ...blocks.filter(({ reachable }) => reachable !== "yes").map(({ block }) => block),
    ...expandNetworks(["embedded"]),
  ]);
  expect(all.filter((one) => !known.some((outer) => contains(outer, one))).map(({ text }) => text)).toEqual([]);
});

test.each([
  ["64:ff9b::10.1.2.3", true],
  ["64:ff9b::192.168.9.9", true],
  ["64:ff9b::8.8.8.8", false],
  ["2002:a01:203::1", true],
  ["2002:808:808::1", false],
  ["::ffff:10.0.0.1", true],
  ["192.0.0.100", true],
  ["192.0.0.9", false],
  ["100:0:0:1::1", true],
  ["2001:1ff::1", true],
  ["2001:20::1", false],
  ["5f00::1", true],
  ["3fff:fff::1", true],
])("special-purpose fences %s: %s", (address, fenced) => {
  expect(all.some((outer) => contains(outer, prefixOf(address)))).toBe(fenced);
});
