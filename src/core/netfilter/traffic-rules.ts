import { joinPorts, type PortRange } from "../values/ports";
import { aggregate, prefixesOf, type Version, VERSIONS } from "../values/prefix";
import { forgottenAfterSeconds } from "../values/rate";
import { termOf } from "../values/until";
import { utcSpans } from "../values/weekly-window";
import { inAddressSet } from "./address-set";
import { logPrefix } from "./kernel-log";
import type { Match } from "./matches";
import { limitOf } from "./matches/rate";
import { mirrored } from "./mirror";
import type { Direction, Side } from "./matches/spec";
import type { Account, Fragment, NamedSet, Rule, SetElement, Verdict } from "./model";
import { canPass } from "./passages";
import { portsOfService } from "./services";
import type { Phase } from "./slots";
import { type Addresses, type Hook, ofVersion, type Traffic, versionsOf } from "./traffic";

/** How the rules of one entry are called, and where they, their own sets and their counter stand. */
export interface Naming {
  readonly object: string;
  readonly hook: Hook;
  /** Behind the number of the phase, unique in its chain: "allow 001". */
  readonly id: string;
  readonly number: string;
  readonly decision: string;
}

export interface CompiledTraffic {
  readonly rules: readonly Rule[];
  readonly sets: readonly NamedSet[];
  readonly elements: readonly SetElement[];
  readonly accounts: readonly Account[];
}

/**
 * A rule for each combination of protocol, ports, IP version and kind of set. Of several addresses, a set of the resource's own. What no set says is
 * missing: where a set of somebody else's is, the rule lets nobody pass (`accept`), or denies everybody. All rules with a `rate` count together; who is
 * logged is not counted by that, so that the log has what exceeds it as well.
 */
export function compileTraffic(traffic: Traffic, verdict: Verdict, naming: Naming): CompiledTraffic {
  const whenMissing = verdict.is === "accept" ? "none" : "all";
  const sides = SIDES.map(([key, side]) => sideOf(traffic[key], key, side, whenMissing, naming));
  const isAnyVersion = traffic.from === undefined && traffic.to === undefined;
  const versions: (Version | undefined)[] = isAnyVersion ? [undefined] : versionsOf(traffic);
  const [mac, account, counted] = [fromMac(traffic.mac, naming), ofAccount(traffic, naming), countedBy(traffic, naming)];
  const ways = versions.flatMap((version) =>
    combined([
      by("in", traffic.in ?? traffic.inPort),
      by("out", traffic.out ?? traffic.outPort),
      [mac.matches],
      ...sides.map(({ matches }) => (version === undefined ? [[]] : matches(version))),
      [...protocolsOf(traffic, version), ...laterFragmentsOf(traffic, version, naming)],
      [account.matches],
      timesOf(traffic),
      traffic.rate === undefined ? [[]] : [[NEW]],
      traffic.until === undefined ? [[]] : [[{ is: "until", ...termOf(traffic.until) }]],
    ]).flatMap((matches) => counted.matches(version).map((counting, index) => ({ matches, counting, isLogged: index === 0 }))),
  );
  const { object, id, number, decision } = naming;
  const counter = `${object}.${id.replaceAll(" ", "-")}`;
  const note = traffic.description === undefined ? {} : { note: traffic.description };
  const rules = ways.flatMap(({ matches, counting, isLogged }, index): Rule[] => {
    const suffix = ways.length > 1 ? `.${String(index + 1).padStart(3, "0")}` : "";
    const rule: Rule = { id: `${number} ${id}${suffix}`, ...note, matches, verdict, decision };
    const isEnding = traffic.running === "cut";
    const logged: Rule = {
      ...rule,
      id: `${rule.id} log`,
      // What is judged again and again is logged once.
      matches: isEnding ? [...matches, NEW] : matches,
      verdict: { is: "log", prefix: logPrefix(object) },
    };
    return [
      ...(traffic.log && isLogged ? [logged] : []),
      ...(isEnding ? [beginning(rule)] : []),
      { ...rule, matches: [...matches, ...counting], counter },
      ...(isEnding && naming.hook === "forward" ? [answering(rule)] : []),
    ];
  });
  return {
    rules,
    sets: [...sides.flatMap(({ sets }) => sets), ...mac.sets, ...account.sets, ...counted.sets],
    elements: [...sides.flatMap(({ elements }) => elements), ...mac.elements],
    accounts: account.accounts,
  };
}

const by = (direction: Direction, name: string | undefined): Match[][] =>
  name === undefined ? [[]] : [[{ is: "interface", direction, name }]];

/** So many elements of maps an entry may be; of more, a set of its own is smaller. */
const MOST_WAYS = 64;

/** The rules of an entry that lets packets pass, one for each pair of addresses, where an element of a map can stand for each; `undefined` where it cannot. */
export function passableWays(
  traffic: Traffic,
  naming: Naming,
): readonly (Pick<Rule, "id" | "note" | "matches" | "decision"> & { readonly counter: string })[] | undefined {
  const [sources, destinations] = [singlesOf(traffic.from), singlesOf(traffic.to)];
  if (traffic.log || traffic.running === "cut" || !sources || !destinations || sources.length * destinations.length > MOST_WAYS)
    return undefined;
  const pairs = sources.flatMap((from) => destinations.map((to) => ({ ...traffic, from, to })));
  const rules = pairs
    .filter((pair) => versionsOf(pair).length > 0)
    .flatMap((pair) => compileTraffic(pair, { is: "accept" }, naming).rules);
  const ways = rules.flatMap(({ note, matches, counter, decision }, index) => {
    if (counter === undefined || !canPass(matches)) return [];
    const id = `${naming.number} ${naming.id}${rules.length > 1 ? `.${String(index + 1).padStart(3, "0")}` : ""}`;
    return [{ id, ...(note === undefined ? {} : { note }), matches, counter, ...(decision === undefined ? {} : { decision }) }];
  });
  return ways.length === rules.length && ways.length <= MOST_WAYS ? ways : undefined;
}

/** A list of each address alone; of none, one that asks for none. `undefined` for somebody else's set. */
function singlesOf(given: Addresses): (string[] | undefined)[] | undefined {
  if (given === undefined) return [undefined];
  return Array.isArray(given) ? aggregate(prefixesOf(given)).map((prefix) => [prefix.text]) : undefined;
}

/**
 * The matches of its rules without any set, for where the table does not load; a list for each address. Nothing where it names somebody
 * else's set: who is in it is not known then, and all that is left of the entry could be everybody.
 */
export function literalTraffic(traffic: Traffic): Match[][] {
  const lists = [traffic.from, traffic.to].map((given) =>
    given === undefined ? [undefined] : Array.isArray(given) ? given : [],
  );
  const [sources = [], destinations = []] = lists;
  const naming: Naming = { object: "", hook: "input", id: "", number: "", decision: "" };
  const neighbours = traffic.mac === undefined ? [undefined] : eachOnce(traffic.mac);
  const single = (one: string | undefined) => (one === undefined ? undefined : [one]);
  const singles = sources.flatMap((from) =>
    destinations.flatMap((to) =>
      neighbours.map((mac) => ({
        ...traffic,
        log: false,
        from: single(from),
        to: single(to),
        mac: single(mac),
      })),
    ),
  );
  return singles.flatMap((one) =>
    versionsOf(one).length === 0 ? [] : compileTraffic(one, { is: "drop" }, naming).rules.map(({ matches }) => [...matches]),
  );
}

const NEW: Match = { is: "connection", state: "new" };

/** Remembers of a connection that it ends with the entry, so that no default drop passes it as an open one. */
const beginning = (rule: Rule): Rule => ({
  ...rule,
  id: `${rule.id} begins`,
  matches: [...rule.matches, NEW],
  verdict: { is: "remember", label: "ending" },
});

/** What rules that drop the frames of one bridge want of the host: that no other bridge loses any by them, unless somebody says so. */
export const needsOfDrop = (bridge: string | undefined, force: boolean): NonNullable<Fragment["needs"]> =>
  bridge === undefined || force ? [] : [`bridge-names ${bridge}`];

/** Of the two ways of such a connection, only `forward` sees both. */
const answering = (rule: Rule): Rule => ({
  ...rule,
  id: `${rule.id} answers`,
  matches: [{ is: "remembered", label: "ending" }, { is: "connection", state: "answer" }, ...rule.matches.flatMap(mirrored)],
});

/** Where the rules of an entry stand. */
export const phaseOf = ({ running }: Traffic, phase: "guest" | "border" | "host"): Phase =>
  running === "cut" ? "ending" : phase;

const SIDES = [
  ["from", "source"],
  ["to", "destination"],
] as const;

/** What the rules want of the host; frames of `bridge`, where they judge those. */
export function needsOf(rules: readonly Rule[], bridge?: string): NonNullable<Fragment["needs"]> {
  const asks = (test: (match: Match) => boolean) => rules.some(({ matches }) => matches.some(test));
  return [
    ...(asks((match) => match.is === "time" && match.span.days !== undefined) ? (["utc"] as const) : []),
    ...(bridge !== undefined && asks(({ is }) => is === "connection" || is === "remembered")
      ? (["bridge-conntrack"] as const)
      : []),
  ];
}

const ownSet = ({ object, id }: Naming, what: string) => `${object}.${id.replaceAll(" ", "-")}.${what}`;

const eachOnce = (macs: readonly string[]) => [...new Set(macs.map((address) => address.toLowerCase()))];

/** Of several MAC addresses, a set of the resource's own. */
function fromMac(given: Traffic["mac"], naming: Naming): { matches: Match[]; sets: NamedSet[]; elements: SetElement[] } {
  if (given === undefined) return { matches: [], sets: [], elements: [] };
  const addresses = eachOnce(given);
  if (addresses.length === 1) return { matches: [{ is: "mac", addresses }], sets: [], elements: [] };
  const set = ownSet(naming, "mac");
  return {
    matches: [{ is: "mac", addresses, set }],
    sets: [{ name: set, type: { is: "type", text: "ether_addr" }, what: `neighbours of ${naming.id}` }],
    elements: addresses.map((element) => ({ set, element, decision: naming.decision })),
  };
}

function ofAccount({ user, group }: Traffic, naming: Naming): { matches: Match[]; sets: NamedSet[]; accounts: Account[] } {
  const name = user ?? group;
  if (name === undefined) return { matches: [], sets: [], accounts: [] };
  const [of, type, what] = user === undefined ? (["groups", "gid", "group"] as const) : (["users", "uid", "user"] as const);
  const set = ownSet(naming, what);
  return {
    matches: [{ is: "account", of, name, set }],
    sets: [{ name: set, type: { is: "type", text: type }, what: `the number of the ${what} of ${naming.id}` }],
    accounts: [{ of, name, set, decision: naming.decision }],
  };
}

const timesOf = ({ when, utcOffset = "+00:00" }: Traffic): Match[][] =>
  utcSpans(when, utcOffset).map((span) => (Object.keys(span).length > 0 ? [{ is: "time", span }] : []));

/** As many sources as the kernel keeps in mind: some 10 MB of each IP version, if somebody forges that many. */
const MOST_SOURCES = 65_535;

/** How new connections of each source are counted, by IP version: where a rule is for both, in one rule for each. */
function countedBy({ rate, ...traffic }: Traffic, naming: Naming) {
  if (rate === undefined) return { matches: (): Match[][] => [[]], sets: [] };
  const setOf = (version: Version) => ownSet(naming, `rate.ipv${version}`);
  const versions = versionsOf(traffic);
  return {
    matches: (of: Version | undefined): Match[][] =>
      (of === undefined ? versions : [of]).map((version) => [{ is: "rate", version, set: setOf(version), ...rate }]),
    sets: versions.map((version): NamedSet => ({
      name: setOf(version),
      type: { is: "type", text: `ipv${version}_addr` },
      learns: { most: MOST_SOURCES, forgottenAfterSeconds: forgottenAfterSeconds(rate), by: limitOf(rate) },
      what: `who has opened connections of ${naming.id} of late`,
    })),
  };
}

/** What is asked of one side's address, by IP version: one list of matches for each way in which it may hold. */
function sideOf(given: Addresses, key: "from" | "to", side: Side, whenMissing: "none" | "all", naming: Naming) {
  if (given === undefined) return { matches: (): Match[][] => [[]], sets: [], elements: [] };
  if (!Array.isArray(given))
    return {
      matches: (version: Version): Match[][] => inAddressSet(given.set, side, version, whenMissing).map((match) => [match]),
      sets: [],
      elements: [],
    };
  const prefixes = aggregate(prefixesOf(given));
  const setOf = (version: Version) => ownSet(naming, `${key}.ipv${version}`);
  const many = VERSIONS.filter((version) => ofVersion(prefixes, version).length > 1);
  return {
    matches: (version: Version): Match[][] => [
      many.includes(version)
        ? [{ is: "in-set", side, version, set: setOf(version) }]
        : [{ is: side, prefixes: ofVersion(prefixes, version) }],
    ],
    sets: many.map((version): NamedSet => ({
      name: setOf(version),
      type: { is: "type", text: `ipv${version}_addr` },
      flags: ["interval"],
      what: `where ${naming.id} is ${key === "from" ? "from" : "to"}`,
    })),
    elements: many.flatMap((version) =>
      ofVersion(prefixes, version).map((prefix): SetElement => ({
        set: setOf(version),
        element: prefix.text,
        decision: naming.decision,
      })),
    ),
  };
}

function protocolsOf({ protocol, service, ports, sourcePorts, icmpTypes }: Traffic, version: Version | undefined): Match[][] {
  if (service !== undefined) return portsOfService(service).map((one) => portMatches(one.protocol, one.sourcePorts, one.ports));
  switch (protocol) {
    case undefined:
      return [[]];
    case "esp":
    case "ah":
      return [[{ is: "ipsec-protocol", protocol }]];
    case "icmp":
    case "icmpv6": {
      const own: Version = protocol === "icmp" ? 4 : 6;
      if (version !== undefined && version !== own) return [];
      return icmpTypes === undefined
        ? [[{ is: "protocol", protocol }]]
        : rangesOf(icmpTypes).map((types) => [{ is: "icmp", version: own, types }]);
    }
    default: {
      if (ports === undefined && sourcePorts === undefined) return [[{ is: "protocol", protocol }]];
      const [sources, destinations] = [sourcePorts, ports].map((given) => (given === undefined ? [undefined] : joinPorts(given)));
      return (sources ?? []).flatMap((source) =>
        (destinations ?? []).map((destination) => portMatches(protocol, source, destination)),
      );
    }
  }
}

/**
 * What of the entry's packets has lost its ports, by its protocol and whom it is from or to. IPv4 for the host itself has been put together before, so that
 * none of it comes to `input`.
 */
function laterFragmentsOf({ fragments, service, protocol }: Traffic, version: Version | undefined, { hook }: Naming): Match[][] {
  if (!fragments || version === undefined || (version === 4 && hook === "input")) return [];
  const protocols = new Set(service === undefined ? [protocol] : portsOfService(service).map((one) => one.protocol));
  return [...protocols].flatMap((one) =>
    one === undefined || one === "esp" || one === "ah"
      ? []
      : [
          [
            { is: "protocol", protocol: one },
            { is: "later-fragment", version },
          ],
        ],
  );
}

function portMatches(protocol: "tcp" | "udp", source: PortRange | undefined, destination: PortRange | undefined): Match[] {
  return [
    ...(source === undefined ? [] : [{ is: "source-ports", protocol, ports: source } as const]),
    ...(destination === undefined ? [] : [{ is: "destination-ports", protocol, ports: destination } as const]),
  ];
}

function rangesOf(types: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const type of [...new Set(types)].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === type - 1) last[1] = type;
    else ranges.push([type, type]);
  }
  return ranges;
}

/** One of each list, in every combination. */
const combined = (lists: readonly Match[][][]): Match[][] =>
  lists.reduce<Match[][]>((all, list) => all.flatMap((begun) => list.map((next) => [...begun, ...next])), [[]]);
