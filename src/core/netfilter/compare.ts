import type { Drift } from "../files/drift";
import { parsePrefix } from "../values/prefix";
import type { Account, Fragment, NamedSet, SetElement } from "./model";
import { accountId, elementId, FAMILY, type Family, helperId, ruleKey, setId, setIdOf, shorten, usesOfSets } from "./nft";
import { elementsOf, lookupsOf } from "./passages";
import { slotOf } from "./slots";

/** The listing's objects ("chain postrouting", "map …") with the text between their braces as it is listed, in the kernel's order. */
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
  if (isAllAlike(wanted, found)) return drift;
  for (const { name } of fragment.chains) {
    compareChain(family, object, wanted.get(`chain ${name}`), found.get(`chain ${name}`), drift);
  }
  for (const helper of fragment.helpers ?? []) {
    const id = helperId(helper);
    compareObject(ruleKey(family, shorten(object, id)), wanted.get(id), found.get(id), drift);
  }
  for (const set of fragment.sets ?? []) compareSet(family, object, set, wanted, found, drift);
  for (const given of elementsOf(fragment)) compareElement(family, object, given, wanted, found, drift);
  for (const account of fragment.accounts ?? []) compareAccount(family, object, account, wanted, found, drift);
  for (const name of [...skeletonOf(fragment), ...stopgapsOf(fragment, wanted)]) {
    const [want, have] = [wanted.get(name), found.get(name)];
    if (want !== undefined && want !== have) {
      drift.set(`${family} damaged: ${name}`, have === undefined ? "missing" : differing(linesOf(want), linesOf(have)));
    }
  }
  for (const { map } of lookupsOf(fragment)) compareSharedMap(family, map, wanted, found, drift);
  for (const name of foreignIn(found, wanted)) {
    drift.set(`${family} not ours, in our table: ${name}`, linesOf(found.get(name)).join("; "));
  }
  return drift;
}

/** Sets that the fragment gives elements to, or names in rules, and that nobody on the host declares. */
export function undeclaredSets(fragment: Fragment, canonical: string | undefined): string[] {
  const given = (fragment.elements ?? []).flatMap(({ set, counter }) => (counter === undefined ? [set] : []));
  const sets = [...new Set([...given, ...namedSets(fragment)])];
  if (sets.length === 0) return sets;
  const wanted = blocksOf(canonical ?? "");
  return sets.filter((set) => {
    const text = wanted.get(`set ${set}`);
    return text === undefined || headerOf(text).includes(NOBODY_DECLARES);
  });
}

/** The table-maker declares a set that is only named, so that the table loads, and says so in the set's comment. */
const NOBODY_DECLARES = 'comment "nobody declares it"';

// Both are looked for once, and not once for each of the resources in a table.
const alike = new WeakMap<Blocks, { readonly wanted: Blocks; readonly isAll: boolean }>();
const foreign = new WeakMap<Blocks, { readonly wanted: Blocks; readonly names: readonly string[] }>();

/** Whether the whole table is as it is to be, as most are. */
function isAllAlike(wanted: Blocks, found: Blocks): boolean {
  const known = alike.get(found);
  if (known?.wanted === wanted) return known.isAll;
  const isAll = wanted.size === found.size && [...wanted.keys()].every((name) => isAlike(name, wanted, found));
  alike.set(found, { wanted, isAll });
  return isAll;
}

/** The objects in our table that are nobody's. */
function foreignIn(found: Blocks, wanted: Blocks): readonly string[] {
  const known = foreign.get(found);
  if (known?.wanted === wanted) return known.names;
  const names = [...found.keys()].filter((name) => !wanted.has(name));
  foreign.set(found, { wanted, names });
  return names;
}

/** Whether an object stands to the letter as it is to; most do, and need not be cut into elements. */
const isAlike = (name: string, wanted: Blocks, found: Blocks) => wanted.get(name) === found.get(name);

const linesOf = (text = ""): readonly string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** Whether anything of the resource stands in the kernel. */
export function isLive(fragment: Fragment, live: string | undefined): boolean {
  const found = blocksOf(live ?? "");
  return (
    fragment.chains.some(({ name }) => found.has(`chain ${name}`)) ||
    (fragment.sets ?? []).some((set) => found.has(setId(set))) ||
    elementsOf(fragment).some((given) => cutSet(found, setIdOf(given))?.elements.has(given.element))
  );
}

/** What leads packets to the resource's chains. */
function skeletonOf(fragment: Fragment): string[] {
  const { layer, attachments, chains } = fragment;
  const looked = lookupsOf(fragment).flatMap(({ to, key }) => [`chain ${to}`, `chain ${to}.${key}`]);
  const asked = chains.flatMap(({ rules }) =>
    rules.flatMap(({ verdict }) => (verdict.is === "ask" ? [`map ${verdict.map}`] : [])),
  );
  const leads = attachments.flatMap(({ to, key }) => {
    const { by, name } = slotOf(layer, to);
    switch (by) {
      case "device":
        return [`chain ${to}.${key}`];
      case "uid":
      case "gid":
        return [`map ${to}`, `chain ${to}.${key}`];
      case "phase":
        // The second leads to who denies by a set that nobody declares, if anybody does; the last to a bridge's own.
        return [`chain ${to}`, `chain ${to}.undeclared`, `chain ${name}`];
      default:
        return key === undefined ? [`chain ${to}`] : [`chain ${to}`, `map ${to}_${by}`, `chain ${to}.${key}`];
    }
  });
  return [...new Set([...leads, ...looked, ...asked])];
}

/** The sets that the table-maker has declared in the place of those that the rules name and nobody declares: all rules that name them rest on these. */
function stopgapsOf(fragment: Fragment, wanted: Blocks): string[] {
  return namedSets(fragment)
    .flatMap((set) => [`set ${set}`, `set ${set}.all`])
    .filter((name) => wanted.get(name)?.includes(NOBODY_DECLARES));
}

/** Sets that the fragment's rules name and others may declare. */
const namedSets = (fragment: Fragment): string[] => [...new Set(usesOfSets(fragment).map(({ set }) => set))];

function compareObject(
  id: string,
  wanted: string | undefined,
  found: string | undefined,
  drift: Map<string, string | undefined>,
): void {
  if (wanted !== undefined && wanted !== found) drift.set(id, found === undefined ? undefined : linesOf(found).join("; "));
}

/** A set of the resource's own: what it is, and every element that nobody has given. What others give is theirs to compare. */
function compareSet(
  family: Family,
  object: string,
  set: NamedSet,
  wanted: Blocks,
  found: Blocks,
  drift: Map<string, string | undefined>,
): void {
  const id = setId(set);
  if (isAlike(id, wanted, found)) return;
  const [want, have] = [cutSet(wanted, id), cutSet(found, id)];
  if (want === undefined) return;
  compareObject(ruleKey(family, shorten(object, id)), want.header, have?.header, drift);
  if (have === undefined) return;
  const element = (text: string) => ruleKey(family, shorten(object, `element ${set.name} ${text}`));
  if (set.isOwn)
    for (const [key, text] of want.elements) {
      const found = have.elements.get(key);
      if (found !== text) drift.set(element(key), found === undefined ? undefined : shorten(object, found));
    }
  for (const [key, text] of have.elements)
    if (!want.elements.has(key)) drift.set(`${element(key)}: not ours, in our set`, shorten(object, text));
}

/** A map that many resources give elements to: what it is, and what nobody has given, which may open anything. */
function compareSharedMap(
  family: Family,
  map: string,
  wanted: Blocks,
  found: Blocks,
  drift: Map<string, string | undefined>,
): void {
  const name = `map ${map}`;
  if (isAlike(name, wanted, found)) return;
  const [want, have] = [cutSet(wanted, name), cutSet(found, name)];
  if (want === undefined) return;
  const damaged = `${family} damaged: ${name}`;
  if (want.header !== have?.header) drift.set(damaged, have === undefined ? "missing" : linesOf(have.header).join("; "));
  for (const [key, text] of have?.elements ?? []) if (!want.elements.has(key)) drift.set(`${damaged}: not ours, ${key}`, text);
}

/** An element that the resource gives, as far as its set is declared by anybody. */
function compareElement(
  family: Family,
  object: string,
  given: SetElement,
  wanted: Blocks,
  found: Blocks,
  drift: Map<string, string | undefined>,
): void {
  const set = setIdOf(given);
  if (isAlike(set, wanted, found)) return;
  const [want, have] = [cutSet(wanted, set)?.elements.get(given.element), cutSet(found, set)?.elements.get(given.element)];
  if (want !== undefined && want !== have)
    drift.set(ruleKey(family, shorten(object, elementId(given))), have === undefined ? undefined : shorten(object, have));
}

/** A number that a set of the resource's has for a user or group. Of a set that has another one, {@link compareSet} names it. */
function compareAccount(
  family: Family,
  object: string,
  account: Account,
  wanted: Blocks,
  found: Blocks,
  drift: Map<string, string | undefined>,
): void {
  if (isAlike(`set ${account.set}`, wanted, found)) return;
  const numbers = (blocks: Blocks) => [...(cutSet(blocks, `set ${account.set}`)?.elements.keys() ?? [])];
  const have = numbers(found);
  if (numbers(wanted).some((number) => !have.includes(number)))
    drift.set(ruleKey(family, shorten(object, accountId(account))), undefined);
}

interface CutSet {
  /** What it is, without its elements. */
  readonly header: string;
  /** What an element is about, to the whole of it as nft lists it. */
  readonly elements: ReadonlyMap<string, string>;
}

// A set may have many elements, and many resources that give it some.
const cutSets = new WeakMap<Blocks, Map<string, CutSet>>();

const ELEMENTS = /(?:^|\n)\s*elements = \{/;
const headerOf = (text: string): string => text.split(ELEMENTS, 1)[0] ?? "";

/** nft writes the elements of a set last, between braces, over as many lines as it likes. */
function cutSet(blocks: Blocks, name: string): CutSet | undefined {
  const text = blocks.get(name);
  if (text === undefined) return undefined;
  const all = cutSets.get(blocks) ?? new Map<string, CutSet>();
  cutSets.set(blocks, all);
  const known = all.get(name);
  if (known) return known;
  const [header = "", list = ""] = text.split(ELEMENTS);
  // Commas inside a comment are no ends of an element.
  const elements =
    list
      .replaceAll("\n", " ")
      .replace(/\}\s*$/, "")
      .match(/(?:"[^"]*"|[^",])+/g) ?? [];
  const cut = {
    header,
    elements: new Map(
      elements
        .map((element) => element.trim())
        .flatMap((element) => (element === "" ? [] : [[keyOfElement(element), element] as const])),
    ),
  };
  all.set(name, cut);
  return cut;
}

/** An element without what is said of it, and without what a map leads it to. */
function keyOfElement(element: string): string {
  const key = element.replace(/ (?:(?:timeout|expires|comment)\b|: ).*$/, "");
  // nft has the dotted form of some IPv6 prefixes (::ffff:0.0.0.0/96).
  const parsed = key.includes(":") ? parsePrefix(key) : key;
  return typeof parsed === "string" ? key : parsed.text;
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

// nft indents objects of a table by one tab and their lines by two; a list of elements goes on over several lines. Texts are parts of the listing, for most of them are
// only compared: lines of their own would take several times the memory.
function cutIntoBlocks(listing: string): Blocks {
  const blocks = new Map<string, string>();
  let open: { readonly name: string; readonly begin: number } | undefined;
  for (let at = 0, end; at < listing.length; at = end + 1) {
    end = listing.indexOf("\n", at);
    if (end < 0) end = listing.length;
    const isOfTable = listing[at] === "\t" && listing[at + 1] !== "\t";
    if (!isOfTable) continue;
    const line = listing.slice(at, end).trim();
    if (open !== undefined) blocks.set(open.name, listing.slice(open.begin, Math.max(open.begin, at - 1)));
    open = line.endsWith(" {") ? { name: line.slice(0, -2), begin: end + 1 } : undefined;
    // What is said of the table itself: `flags dormant` switches all of it off.
    if (open === undefined && line !== "}") blocks.set(line, "");
  }
  return blocks;
}
