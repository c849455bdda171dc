import { z } from "zod";
import { interfaceName, printableText } from "../values/names";
import { formatPorts, joinPorts, port, type PortRange } from "../values/ports";
import {
  aggregate,
  formatPrefix,
  type Prefix,
  prefixesOf,
  prefixText,
  type Version,
  VERSIONS,
  versionOf,
} from "../values/prefix";
import { isOver, termOf, until, untilWithBeginning, withBeginning, writtenEnd } from "../values/until";
import { inAddressSet, setName } from "./address-set";
import type { Match } from "./matches";
import type { Side } from "./matches/spec";
import type { NamedSet, Rule, SetElement, Verdict } from "./model";
import { portsOfService, SERVICE_NAMES } from "./services";

/** What an Allow, a Deny and an entry of a DefaultDrop say of the packets that they are about. */

const addresses = z.union([z.array(prefixText).min(1, "must name at least one address"), z.strictObject({ set: setName })], {
  error:
    'must be a list of addresses and prefixes like ["192.0.2.0/24"], or an AddressSet; names of DNS are not taken, since a rule would keep the address of the moment',
});

export const trafficShape = {
  protocol: z.enum(["tcp", "udp", "icmp", "icmpv6", "esp", "ah"]).optional(),
  service: z.enum(SERVICE_NAMES).optional(),
  ports: z.array(port).min(1, "must name at least one port").optional(),
  sourcePorts: z.array(port).min(1, "must name at least one port").optional(),
  icmpTypes: z.array(z.number().int().min(0).max(255)).min(1, "must name at least one type").optional(),
  from: addresses.optional(),
  to: addresses.optional(),
  in: interfaceName.optional(),
  out: interfaceName.optional(),
  log: z.boolean().default(false),
  until: until.optional(),
  description: printableText(60).optional(),
};
export type Traffic = z.infer<z.ZodObject<typeof trafficShape>>;

/** What an entry can say that lets packets pass. */
export const openingShape = { ...trafficShape, until: untilWithBeginning.optional() };

/** The chains of the IP layer that can be judged. */
export const HOOKS = ["input", "forward", "output"] as const;
export type Hook = (typeof HOOKS)[number];

/** What no single argument can tell. `at` is where the entry stands in the arguments: "allow[0].", or nothing. */
export function reviewTraffic(hook: Hook, traffic: Traffic, at = ""): { property: string; reason: string }[] {
  const { protocol, service, ports, sourcePorts, icmpTypes } = traffic;
  const problem = (property: keyof Traffic, reason: string) => ({ property: `${at}${property}`, reason });
  const hasPorts = protocol === "tcp" || protocol === "udp";
  return [
    ...(service !== undefined && protocol !== undefined
      ? [problem("service", "says the protocol already; leave `protocol` out")]
      : []),
    ...(service !== undefined && (ports ?? sourcePorts) !== undefined
      ? [problem("service", "says the ports already; write `protocol` and `ports` in its place")]
      : []),
    ...(service === undefined && !hasPorts && ports !== undefined
      ? [problem("ports", 'needs `protocol: "tcp"` or `"udp"`')]
      : []),
    ...(service === undefined && !hasPorts && sourcePorts !== undefined
      ? [problem("sourcePorts", 'needs `protocol: "tcp"` or `"udp"`')]
      : []),
    ...(icmpTypes !== undefined && protocol !== "icmp" && protocol !== "icmpv6"
      ? [problem("icmpTypes", 'needs `protocol: "icmp"` or `"icmpv6"`')]
      : []),
    ...(hook === "output" && traffic.in !== undefined
      ? [problem("in", "cannot be: what the host sends itself has come in by no interface")]
      : []),
    ...(hook === "input" && traffic.out !== undefined
      ? [problem("out", "cannot be: what is for the host itself goes out by no interface")]
      : []),
    ...(versionsOf(traffic).length === 0
      ? [problem("to", "is of another IP version than the rest of the entry; no packet has both")]
      : []),
  ];
}

/** How the rules of one entry are called, and where their own sets and counter stand. */
export interface Naming {
  readonly object: string;
  /** Behind the number of the phase, unique in its chain: "allow 001". */
  readonly id: string;
  readonly number: string;
  readonly decision: string;
}

export interface CompiledTraffic {
  readonly rules: readonly Rule[];
  readonly sets: readonly NamedSet[];
  readonly elements: readonly SetElement[];
}

/**
 * A rule for each combination of protocol, ports, IP version and kind of set. Of several addresses, a set of the resource's own. What no set says is
 * missing: where a set of somebody else's is, the rule lets nobody pass (`accept`), or denies everybody.
 */
export function compileTraffic(traffic: Traffic, verdict: Verdict, naming: Naming): CompiledTraffic {
  const whenMissing = verdict.is === "accept" ? "none" : "all";
  const sides = SIDES.map(([key, side]) => sideOf(traffic[key], key, side, whenMissing, naming));
  const isAnyVersion = traffic.from === undefined && traffic.to === undefined;
  const versions: (Version | undefined)[] = isAnyVersion ? [undefined] : versionsOf(traffic);
  const ways = versions.flatMap((version) =>
    combined([
      traffic.in === undefined ? [[]] : [[{ is: "interface", direction: "in", name: traffic.in }]],
      traffic.out === undefined ? [[]] : [[{ is: "interface", direction: "out", name: traffic.out }]],
      ...sides.map(({ matches }) => (version === undefined ? [[]] : matches(version))),
      protocolsOf(traffic, version),
      traffic.until === undefined ? [[]] : [[{ is: "until", ...termOf(traffic.until) }]],
    ]),
  );
  const { object, id, number, decision } = naming;
  const counter = `${object}.${id.replaceAll(" ", "-")}`;
  const note = traffic.description === undefined ? {} : { note: traffic.description };
  const rules = ways.flatMap((matches, index): Rule[] => {
    const suffix = ways.length > 1 ? `.${String(index + 1).padStart(3, "0")}` : "";
    const rule: Rule = { id: `${number} ${id}${suffix}`, ...note, matches, verdict, decision };
    const logged: Rule = { ...rule, id: `${rule.id} log`, verdict: { is: "log", prefix: `drawbridge ${object}: ` } };
    return [...(traffic.log ? [logged] : []), { ...rule, counter }];
  });
  return { rules, sets: sides.flatMap(({ sets }) => sets), elements: sides.flatMap(({ elements }) => elements) };
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
  const naming = { object: "", id: "", number: "", decision: "" };
  return sources.flatMap((from) =>
    destinations.flatMap((to) => {
      const one = {
        ...traffic,
        log: false,
        from: from === undefined ? undefined : [from],
        to: to === undefined ? undefined : [to],
      };
      return versionsOf(one).length === 0
        ? []
        : compileTraffic(one, { is: "drop" }, naming).rules.map(({ matches }) => [...matches]);
    }),
  );
}

const SIDES = [
  ["from", "source"],
  ["to", "destination"],
] as const;

type Addresses = Traffic["from"];

const ofVersion = (prefixes: readonly Prefix[], version: Version) => prefixes.filter((prefix) => versionOf(prefix) === version);

/** The IP versions that a packet may have for which all of the entry holds. */
function versionsOf({ protocol, from, to }: Traffic): Version[] {
  const may = (given: Addresses, version: Version) =>
    !Array.isArray(given) || ofVersion(aggregate(prefixesOf(given)), version).length > 0;
  return VERSIONS.filter((version) => may(from, version) && may(to, version) && protocol !== (version === 4 ? "icmpv6" : "icmp"));
}

/** What is asked of one side's address, by IP version: one list of matches for each way in which it may hold. */
function sideOf(given: Addresses, key: "from" | "to", side: Side, whenMissing: "none" | "all", { object, id, decision }: Naming) {
  if (given === undefined) return { matches: (): Match[][] => [[]], sets: [], elements: [] };
  if (!Array.isArray(given))
    return {
      matches: (version: Version): Match[][] => inAddressSet(given.set, side, version, whenMissing).map((match) => [match]),
      sets: [],
      elements: [],
    };
  const prefixes = aggregate(prefixesOf(given));
  const setOf = (version: Version) => `${object}.${id.replaceAll(" ", "-")}.${key}.ipv${version}`;
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
      what: `where ${id} is ${key === "from" ? "from" : "to"}`,
    })),
    elements: many.flatMap((version) =>
      ofVersion(prefixes, version).map((prefix): SetElement => ({
        set: setOf(version),
        element: formatPrefix(prefix),
        decision,
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

/** "tcp 443 from 10.0.1.0/24 in wirif": for the entry of `rules`. */
export function describeTraffic(traffic: Traffic): string {
  const { protocol, service, ports, sourcePorts, icmpTypes } = traffic;
  const listed = (given: readonly (string | number)[]) => {
    const more = given.length - 3;
    return `${given.slice(0, 3).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  };
  const side = (given: Addresses) => (Array.isArray(given) ? listed(given) : `the set ${given?.set ?? ""}`);
  const words = [
    service ?? protocol ?? "all",
    ...(sourcePorts === undefined ? [] : [`from port ${listed(joinPorts(sourcePorts).map(formatPorts))}`]),
    ...(ports === undefined ? [] : [listed(joinPorts(ports).map(formatPorts))]),
    ...(icmpTypes === undefined ? [] : [`type ${listed(icmpTypes)}`]),
    ...(traffic.from === undefined ? [] : [`from ${side(traffic.from)}`]),
    ...(traffic.to === undefined ? [] : [`to ${side(traffic.to)}`]),
    ...(traffic.in === undefined ? [] : [`in ${traffic.in}`]),
    ...(traffic.out === undefined ? [] : [`out ${traffic.out}`]),
    ...(traffic.until === undefined ? [] : [`until ${writtenEnd(traffic.until)}`]),
  ];
  return words.join(" ");
}

/** The entry as it is kept, whose `until` has a beginning. @param kept the entries that stood before */
export const begun = (traffic: Pick<Traffic, "until">, kept: readonly unknown[], now: Date): Pick<Traffic, "until"> =>
  traffic.until === undefined ? {} : { until: withBeginning(traffic.until, kept.map(untilOf), now) };

const untilOf = (kept: unknown): unknown =>
  typeof kept === "object" && kept !== null && "until" in kept ? kept.until : undefined;

/** What is to be said of entries that have ended; `at` is where one stands in the arguments: "allow[0].", or nothing. */
export function expiredOf(
  entries: readonly { readonly at: string; readonly until?: string | undefined }[],
  now: Date,
): string | undefined {
  const over = entries.flatMap(({ at, until: end }) =>
    end !== undefined && isOver(end, now)
      ? [`${at}until: expired at ${writtenEnd(end)}; its rules do nothing any more, take it out of the program`]
      : [],
  );
  return over.length === 0 ? undefined : over.join("\n");
}
