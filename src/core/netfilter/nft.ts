import { type FileHeader, type HostFile, renderHeader } from "../files/host-file";
import type { Version } from "../values/prefix";
import { textOfMatch } from "./matches";
import type { InSetMatch } from "./matches/in-set";
import { BRIDGED_MARK } from "./matches/only-bridged";
import { LABEL } from "./matches/remembered";
import type { Account, Chain, ConntrackHelper, Fragment, NamedSet, Rule, SetElement, Verdict } from "./model";
import { elementsOf, lookupsOf } from "./passages";
import { type Layer, PHASES, slotOf } from "./slots";

/** nftables' word for a layer. */
export const FAMILY = { ip: "inet", bridge: "bridge", device: "netdev" } as const satisfies Record<Layer, string>;
export type Family = (typeof FAMILY)[Layer];

/** Path of the fragment that holds what `object` adds to a layer. */
export function fragmentPath(layer: Layer, object: string): string {
  return `/etc/drawbridge/nft/${FAMILY[layer]}-drawbridge/50-${object}.nft`;
}

/** The file of some of its elements, where they are spread over several. */
export const partPath = (path: string, part: number) => path.replace(/\.nft$/, `.${String(part).padStart(3, "0")}.nft`);

/** All files that what `object` adds to a layer may have, where its elements are spread over at most so many. */
export function fragmentPaths(layer: Layer, object: string, mostParts: number): string[] {
  const path = fragmentPath(layer, object);
  return [path, ...(mostParts > 1 ? Array.from({ length: mostParts }, (_, part) => partPath(path, part)) : [])];
}

/** Which part of which file a path is, if it is one. */
export function partOf(path: string): { readonly of: string; readonly part: number } | undefined {
  const [, of, part] = /^(.+)\.(\d{3})\.nft$/.exec(path) ?? [];
  return of === undefined ? undefined : { of: `${of}.nft`, part: Number(part) };
}

/** The files that make the fragment: one, or one for all but the elements and as many as it has parts. */
export function filesOfFragment(header: FileHeader, fragment: Fragment): HostFile[] {
  const { parts = 1, elements = [], layer, sets = [] } = fragment;
  if (parts === 1) return [renderFragment(header, fragment)];
  const spread = Array.from({ length: parts }, (): SetElement[] => []);
  for (const given of elements) spread[hashOf(given.element) % parts]?.push(given);
  const ofPart = (own: readonly SetElement[], part: number): HostFile => {
    const file = renderFragment(header, { layer, attachments: [], chains: [], sets, elements: own });
    return { ...file, path: partPath(file.path, part) };
  };
  return [renderFragment(header, { ...fragment, elements: [] }), ...spread.map(ofPart)];
}

/** FNV-1a, 32 bits: an element stays in its part, whatever comes or goes beside it. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/**
 * The file that drawbridge-host loads as a part of `table <family> drawbridge`: objects as nft takes them, and lines for the loader, which
 * src/host/program/table.awk lists. `# needs` says what the host must have; a fragment with `# opens` is left out of a second try.
 */
export function renderFragment(header: FileHeader, fragment: Fragment): HostFile {
  checkFragment(fragment);
  const elements = elementsOf(fragment);
  const counters = [...elements, ...fragment.chains.flatMap(({ rules }) => rules)].flatMap(({ counter }) =>
    counter === undefined ? [] : [counter],
  );
  const uses = usesOfSets(fragment).map(
    ({ set, whenMissing, version }) => `# uses ${set} ${whenMissing} ${version === 4 ? "ipv4_addr" : "ipv6_addr"}`,
  );
  const lines = [
    ...renderHeader(header),
    ...fragment.attachments.map(({ to, key = "*", chain }) => `# attach ${to} ${key} ${chain}`),
    ...lookupsOf(fragment).map(({ to, key, map, type, expression }) => `# lookup ${to} ${key} ${map} ${type} = ${expression}`),
    ...(fragment.needs ?? []).map((need) => `# needs ${need}`),
    ...(fragment.opens ? ["# opens"] : []),
    ...(fragment.failClosed ?? []).map(({ hook, verdict, matches }) =>
      [`# ${FAIL_CLOSED_WORD[verdict]} ${hook}`, ...matches.map(textOfMatch)].join(" "),
    ),
    ...new Set(uses),
    ...elements.map((given) => `# element ${given.set} ${renderElement(given)}`),
    ...(fragment.accounts ?? []).map(({ of, name, set }) => `# account ${of} ${name} ${set}`),
    ...[...new Set(counters)].map((name) => `# counter ${name}`),
    ...(fragment.sets ?? []).flatMap(renderSet),
    ...(fragment.helpers ?? []).flatMap(renderHelper),
    // A chain must be declared before the rule that leads to it.
    ...fragment.chains.toReversed().flatMap(renderChain),
  ];
  return { path: fragmentPath(fragment.layer, header.object), text: `${lines.join("\n")}\n`, mode: "0644" };
}

/** @throws Error for what would open where it should close: a fault of the kind that compiled it */
function checkFragment(fragment: Fragment): void {
  const { layer, attachments, failClosed = [] } = fragment;
  for (const { to, key } of attachments) {
    const { hook, by, failClosed: closes } = slotOf(layer, to);
    if (by !== "phase") continue;
    if (!PHASES.some((phase) => phase === key)) throw new Error(`${to} has no phase ${key ?? "*"}`);
    if (closes === "default-drop" && key === "final" && !failClosed.some((rule) => rule.hook === hook))
      throw new Error(`what stands in ${to} does not say what is dropped where the table does not load`);
  }
  const own = new Set((fragment.sets ?? []).map(({ name }) => name));
  for (const { set, whenMissing } of setMatches(fragment)) {
    if (whenMissing === undefined && !own.has(set))
      throw new Error(`nobody says what the set ${set} holds where nobody declares it`);
  }
  const wishes = new Map<string, string>();
  for (const { set, whenMissing } of usesOfSets(fragment)) {
    if ((wishes.get(set) ?? whenMissing) !== whenMissing)
      throw new Error(`the set ${set} is to hold nothing and everything where nobody declares it`);
    wishes.set(set, whenMissing);
  }
}

function setMatches({ chains }: Fragment): InSetMatch[] {
  return chains.flatMap(({ rules }) =>
    rules.flatMap(({ matches }) => matches.flatMap((match) => (match.is === "in-set" ? [match] : []))),
  );
}

/** A set that another resource may declare. */
interface UseOfSet {
  readonly set: string;
  readonly version: Version;
  readonly whenMissing: "none" | "all";
}

/** What the fragment's rules say of sets that another resource may declare. */
export function usesOfSets(fragment: Fragment): UseOfSet[] {
  return setMatches(fragment).flatMap(({ set, version, whenMissing }) =>
    whenMissing === undefined ? [] : [{ set, version, whenMissing }],
  );
}

const FAIL_CLOSED_WORD = { drop: "shut", pass: "pass", "drop-the-rest": "close" } as const;

/** What nft calls an object that is no chain; its id, too. */
export const setId = ({ name, leadsTo }: NamedSet) => `${leadsTo === undefined ? "set" : "map"} ${name}`;
export const setIdOf = ({ set, counter }: SetElement) => `${counter === undefined ? "set" : "map"} ${set}`;
export const elementId = ({ id, set, element }: SetElement) => id ?? `element ${set} ${element}`;
export const accountId = ({ of, name, set }: Account) => `account ${set} ${of === "users" ? "user" : "group"} ${name}`;
export const helperId = ({ name }: ConntrackHelper) => `ct helper ${name}`;

export function ruleKey(family: Family, id: string): string {
  return `${family} ${id}`;
}

/** A text of the host for people, who know which resource it is about. */
export function shorten(object: string, text: string): string {
  return text.replaceAll(object, "…");
}

const renderSet = (set: NamedSet): string[] => block(setId(set), linesOfSet(set));

export const renderElement = ({ element, counter, note }: SetElement): string =>
  `${element}${note === undefined ? "" : ` comment "${note}"`}${counter === undefined ? "" : ` : "${counter}"`}`;
const renderHelper = (helper: ConntrackHelper): string[] => block(`ct helper ${helper.name}`, linesOfHelper(helper));
const renderChain = ({ name, rules }: Chain): string[] =>
  block(
    `chain ${name}`,
    rules.map((rule) => `${renderRule(rule)} comment "${rule.note === undefined ? rule.id : `${rule.id} | ${rule.note}`}"`),
  );

const block = (name: string, lines: readonly string[]): string[] => [`${name} {`, ...lines.map((line) => `\t${line}`), "}"];

export const linesOfSet = ({ type, flags = [], leadsTo, learns }: NamedSet): string[] => [
  `${type.is} ${type.text}${leadsTo === undefined ? "" : " : counter"}`,
  ...(flags.length > 0 ? [`flags ${flags.join(",")}`] : []),
  ...(learns === undefined
    ? []
    : [`size ${learns.most}`, "flags dynamic,timeout", `timeout ${learns.forgottenAfterSeconds}s`, `comment "${learns.by}"`]),
];

export const linesOfHelper = ({ helper, protocol }: ConntrackHelper): string[] => [
  `type "${helper}" protocol ${protocol}`,
  "l3proto inet",
];

export function renderRule({ matches, counter, verdict }: Rule): string {
  return [
    ...matches.map(textOfMatch),
    ...(counter === undefined ? [] : [`counter name "${counter}"`]),
    renderVerdict(verdict),
  ].join(" ");
}

function renderVerdict(verdict: Verdict): string {
  switch (verdict.is) {
    case "goto":
      return `goto ${verdict.chain}`;
    case "log":
      // nft leaves flags out where there is a group: whoever listens to it gets the uid anyway.
      return `limit rate 10/minute burst 5 packets log prefix "${verdict.prefix}" ${verdict.nflogGroup === undefined ? "flags skuid" : `group ${verdict.nflogGroup}`}`;
    case "reject":
      return `reject with ${verdict.with}`;
    case "remember":
      return `ct label set ${LABEL[verdict.label]}`;
    case "mark-bridged":
      return `meta mark set meta mark | 0x${BRIDGED_MARK.toString(16)}`;
    case "unmark-bridged":
      return `meta mark set meta mark & 0x${(0xffff_ffff - BRIDGED_MARK).toString(16)}`;
    case "ask":
      return verdict.map === "users" ? "meta skuid vmap @users" : "meta skgid vmap @groups";
    default:
      return verdict.is;
  }
}
