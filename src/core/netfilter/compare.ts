import type { Drift } from "../files/drift";
import { FAMILY, type Family, ruleKey, shorten } from "./nft";
import type { Fragment } from "./model";

/** The listing's objects ("chain postrouting", "map …") with the text of their lines, in the kernel's order. */
type Blocks = ReadonlyMap<string, string>;

/**
 * Compares two listings of `table <family> drawbridge` for one resource: the kernel's, and the same host's nft listing of the
 * confirmed text. Rules are matched by the id in their comment; a rule that stands unchanged is no drift, a changed or foreign
 * one shows the host's words. The skeleton that leads to the resource's chains, and foreign objects in the table, are the
 * drift of every resource in it.
 */
export function compareFragment(
  object: string,
  fragment: Fragment,
  canonical: string | undefined,
  live: string | undefined,
): Drift {
  const family = FAMILY[fragment.layer];
  const [wanted, found] = [blocksOf(canonical ?? ""), blocksOf(live ?? "")];
  const drift = new Map<string, string | undefined>();
  for (const { name } of fragment.chains) {
    compareChain(family, object, wanted.get(`chain ${name}`), found.get(`chain ${name}`), drift);
  }
  for (const name of skeletonOf(fragment)) {
    const [want, have] = [wanted.get(name), found.get(name)];
    if (want !== undefined && want !== have) {
      drift.set(`${family} damaged: ${name}`, have === undefined ? "missing" : differing(linesOf(want), linesOf(have)));
    }
  }
  for (const name of foreignIn(found, wanted)) {
    drift.set(`${family} not ours, in our table: ${name}`, linesOf(found.get(name)).join("; "));
  }
  return drift;
}

// Looked for once, and not once for each of the resources in a table.
const foreign = new WeakMap<Blocks, { readonly wanted: Blocks; readonly names: readonly string[] }>();

/** The objects in our table that are nobody's. */
function foreignIn(found: Blocks, wanted: Blocks): readonly string[] {
  const known = foreign.get(found);
  if (known?.wanted === wanted) return known.names;
  const names = [...found.keys()].filter((name) => !wanted.has(name));
  foreign.set(found, { wanted, names });
  return names;
}

const linesOf = (text = ""): readonly string[] => (text === "" ? [] : text.split("\n"));

/** Whether anything of the resource stands in the kernel. */
export function isLive(fragment: Fragment, live: string | undefined): boolean {
  const found = blocksOf(live ?? "");
  return fragment.chains.some(({ name }) => found.has(`chain ${name}`));
}

/** What leads packets to the resource's chains. */
function skeletonOf({ attachments }: Fragment): string[] {
  return attachments.flatMap(({ to, key }) => {
    if (to === "egress") return [`chain egress.${key}`];
    if (to === "users" || to === "groups") return [`map ${to}`, `chain ${to}.${key}`];
    const base = [`chain ${to}`, ...(to === "output" ? ["map users", "map groups"] : [])];
    const map = to === "prerouting" ? "prerouting_iifname" : "postrouting_oifname";
    return key === undefined ? base : [...base, `map ${map}`, `chain ${to}.${key}`];
  });
}

function compareChain(
  family: Family,
  object: string,
  wantedText: string | undefined,
  foundText: string | undefined,
  drift: Map<string, string | undefined>,
): void {
  if (wantedText === foundText) return;
  const [wanted, found] = [linesOf(wantedText), linesOf(foundText)];
  const unmet = new Map(wanted.map((line) => [idOf(line), line]));
  let strangers = 0;
  let order: string[] = [];
  for (const line of found) {
    const id = idOf(line);
    const want = id === undefined ? undefined : unmet.get(id);
    if (id === undefined || want === undefined) {
      strangers += 1;
      drift.set(`${family} not ours, in our chain: #${strangers}`, shorten(object, line));
      continue;
    }
    unmet.delete(id);
    order = [...order, id];
    if (want !== line) drift.set(ruleKey(family, id), shorten(object, withoutComment(line)));
  }
  for (const id of unmet.keys()) if (id !== undefined) drift.set(ruleKey(family, id), undefined);
  const inOrder = wanted.map(idOf).filter((id) => id !== undefined && order.includes(id));
  if (inOrder.join("\n") !== order.join("\n")) drift.set(`${family} in another order`, order.join(", "));
}

/** The rule's id: its comment up to the note. */
function idOf(line: string): string | undefined {
  return / comment "([^"]*)"$/.exec(line)?.[1]?.split(" | ")[0];
}

const withoutComment = (line: string) => line.replace(/ comment "[^"]*"$/, "");

function differing(wanted: readonly string[], found: readonly string[]): string {
  const missing = wanted.filter((line) => !found.includes(line)).map((line) => `missing: ${line}`);
  const added = found.filter((line) => !wanted.includes(line)).map((line) => `added: ${line}`);
  return [...missing, ...added].join("; ") || `in another order: ${found.join("; ")}`;
}

// All resources that share a look compare the same few long texts.
const cut = new Map<string, Blocks>();
const MOST_LISTINGS = 8;

function blocksOf(listing: string): Blocks {
  const known = cut.get(listing);
  if (known) return known;
  const blocks = cutIntoBlocks(listing);
  const [oldest] = cut.keys();
  if (oldest !== undefined && cut.size >= MOST_LISTINGS) cut.delete(oldest);
  cut.set(listing, blocks);
  return blocks;
}

// nft indents objects of a table by one tab and their lines by two; a list of elements goes on over several lines.
function cutIntoBlocks(listing: string): Blocks {
  const blocks = new Map<string, string[]>();
  let lines: string[] | undefined;
  for (const line of listing.split("\n")) {
    const [, name] = /^\t([^\t].*) \{$/.exec(line) ?? [];
    if (name !== undefined) blocks.set(name, (lines = []));
    else if (line === "\t}") lines = undefined;
    // What is said of the table itself: `flags dormant` switches all of it off.
    else if (lines === undefined && /^\t[^\t]/.test(line)) blocks.set(line.trim(), []);
    else if (line.trim() !== "") lines?.push(line.trim());
  }
  return new Map([...blocks].map(([name, inside]) => [name, inside.join("\n")]));
}
