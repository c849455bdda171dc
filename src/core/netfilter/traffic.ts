import { z } from "zod";
import { macAddress } from "../values/mac";
import { accountName, interfaceName, printableText } from "../values/names";
import { formatPorts, joinPorts, port } from "../values/ports";
import { aggregate, type Prefix, prefixesOf, prefixText, type Version, VERSIONS, versionOf } from "../values/prefix";
import { rate } from "../values/rate";
import { isOver, until, untilWithBeginning, withBeginning, writtenEnd } from "../values/until";
import { utcOffset, weeklyWindow } from "../values/weekly-window";
import { setName } from "./address-set";
import { SERVICE_NAMES } from "./services";
import { type Layer, slotOfBridge, type SlotName } from "./slots";

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
  mac: z.array(macAddress).min(1, "must name at least one address").optional(),
  in: interfaceName.optional(),
  out: interfaceName.optional(),
  inPort: interfaceName.optional(),
  outPort: interfaceName.optional(),
  log: z.boolean().default(false),
  until: until.optional(),
  description: printableText(60).optional(),
};

/** What an entry can say that lets packets pass. */
export const openingShape = {
  ...trafficShape,
  until: untilWithBeginning.optional(),
  rate: rate.optional(),
  user: accountName.optional(),
  group: accountName.optional(),
  when: weeklyWindow.optional(),
  utcOffset: utcOffset.optional(),
  fragments: z.boolean().optional(),
  running: z.enum(["keep", "cut"]).optional(),
};
/** What any of them says. */
export type Traffic = z.infer<z.ZodObject<typeof openingShape>>;

/** The chains that can be judged. */
export const HOOKS = ["input", "forward", "output"] as const;
export type Hook = (typeof HOOKS)[number];

/** What a resource judges: packets of the IP layer at one hook of the host, or with a bridge the frames that it hands from port to port. */
export const placeShape = { hook: z.enum(HOOKS), bridge: interfaceName.optional() };
export type Place = z.infer<z.ZodObject<typeof placeShape>>;

/** The layer and the slot in which a place is judged. */
export const slotIn = ({ hook, bridge }: Place): { layer: Layer; to: SlotName } =>
  bridge === undefined ? { layer: "ip", to: `drop.${hook}` } : { layer: "bridge", to: slotOfBridge(bridge) };

/** What no single argument can tell of a place. */
export const reviewPlace = ({ hook, bridge }: Place): { property: string; reason: string }[] =>
  bridge !== undefined && hook !== "forward"
    ? [
        {
          property: "bridge",
          reason: 'needs `hook: "forward"`: what the bridge hands to the host itself is judged by the IP layer, without `bridge`',
        },
      ]
    : [];

/** What no single argument can tell. `at` is where the entry stands in the arguments: "allow[0].", or nothing. */
export function reviewTraffic({ hook, bridge }: Place, traffic: Traffic, at = ""): { property: string; reason: string }[] {
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
    ...(["in", "out"] as const).flatMap((key) =>
      bridge !== undefined && traffic[key] !== undefined
        ? [problem(key, `is an interface of the IP layer; with \`bridge\` write \`${key}Port\`, the port of the bridge`)]
        : [],
    ),
    ...(["inPort", "outPort"] as const).flatMap((key) =>
      bridge === undefined && traffic[key] !== undefined ? [problem(key, "is a port of a bridge, and needs `bridge`")] : [],
    ),
    ...(hook === "output" && traffic.in !== undefined
      ? [problem("in", "cannot be: what the host sends itself has come in by no interface")]
      : []),
    ...(hook === "output" && traffic.mac !== undefined
      ? [problem("mac", "cannot be: what the host sends itself was handed over by no neighbour")]
      : []),
    ...(hook === "input" && traffic.out !== undefined
      ? [problem("out", "cannot be: what is for the host itself goes out by no interface")]
      : []),
    ...(versionsOf(traffic).length === 0
      ? [problem("to", "is of another IP version than the rest of the entry; no packet has both")]
      : []),
  ];
}

export type Addresses = Traffic["from"];

export const ofVersion = (prefixes: readonly Prefix[], version: Version) =>
  prefixes.filter((prefix) => versionOf(prefix) === version);

const SAYS_WHAT = ["from", "to", "mac", "in", "out", "inPort", "outPort", "service", "protocol", "user", "group"] as const;

/** The property that says what an entry is about, where one does. */
export const whatIsSaid = (traffic: Traffic) => SAYS_WHAT.find((key) => traffic[key] !== undefined);

/** What no single argument can tell of an entry that lets packets pass. `at` as in {@link reviewTraffic}. */
export function reviewOpening(place: Place, traffic: Traffic, at = ""): { property: string; reason: string }[] {
  const { hook } = place;
  const { user, group, when: { firstDate, lastDate } = {} } = traffic;
  const problem = (property: string, reason: string) => ({ property: `${at}${property}`, reason });
  return [
    ...reviewTraffic(place, traffic, at),
    ...(whatIsSaid(traffic) === undefined
      ? [
          problem(
            "from",
            "must be given, or another property that says what is allowed; otherwise everything would pass this hook",
          ),
        ]
      : []),
    ...(["user", "group"] as const).flatMap((key) =>
      hook !== "output" && traffic[key] !== undefined
        ? [problem(key, 'needs `hook: "output"`: only of what this host sends is it known who does')]
        : [],
    ),
    ...(user !== undefined && group !== undefined
      ? [problem("group", "give either `user` or `group`, and the other one an entry of its own")]
      : []),
    ...(firstDate !== undefined && lastDate !== undefined && firstDate > lastDate
      ? [problem("when.lastDate", "lies before firstDate")]
      : []),
    ...(traffic.running === "cut" && traffic.rate !== undefined
      ? [
          problem(
            "running",
            "cannot be beside `rate`, which counts new connections and lets nothing else of them pass; leave one of them out",
          ),
        ]
      : []),
    ...(traffic.running === "cut" && traffic.fragments
      ? [problem("running", "cannot be beside `fragments`, which is for hosts that follow no connection; leave one of them out")]
      : []),
    ...(traffic.fragments ? whyNoFragments(hook, traffic).map((reason) => problem("fragments", reason)) : []),
  ];
}

/** Why an entry cannot let later fragments pass; the first reason is enough. */
function whyNoFragments(hook: Hook, traffic: Traffic): string[] {
  const { service, ports, sourcePorts, icmpTypes, from, to, rate: limit } = traffic;
  if (hook === "output") return ["cannot be: what the host sends is cut up behind this hook"];
  if ((service ?? ports ?? sourcePorts ?? icmpTypes) === undefined)
    return ["is needless: nothing but ports and ICMP types keeps later fragments from passing; leave it out"];
  if (limit !== undefined)
    return ["is needless beside `rate`: what counts new connections puts their packets together first; leave it out"];
  if (hook === "input" && !versionsOf(traffic).includes(6))
    return ["is needless: IPv4 for the host itself is put together before it is judged; leave it out"];
  if (hook === "input" && from === undefined)
    return ["needs `from`: later fragments have no ports, so that without it those of everybody would pass"];
  if ((from ?? to) === undefined)
    return ["needs `from` or `to`: later fragments have no ports, so that without them those of everybody would pass"];
  return [];
}

/** The IP versions that a packet may have for which all of the entry holds. */
export function versionsOf({ protocol, from, to }: Traffic): Version[] {
  const may = (given: Addresses, version: Version) =>
    !Array.isArray(given) || ofVersion(aggregate(prefixesOf(given)), version).length > 0;
  return VERSIONS.filter((version) => may(from, version) && may(to, version) && protocol !== (version === 4 ? "icmpv6" : "icmp"));
}

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
    ...(traffic.mac === undefined ? [] : [`from the MAC address ${listed(traffic.mac)}`]),
    ...(traffic.in === undefined ? [] : [`in ${traffic.in}`]),
    ...(traffic.out === undefined ? [] : [`out ${traffic.out}`]),
    ...(traffic.inPort === undefined ? [] : [`in by the port ${traffic.inPort}`]),
    ...(traffic.outPort === undefined ? [] : [`out by the port ${traffic.outPort}`]),
    ...(traffic.user === undefined ? [] : [`of the user ${traffic.user}`]),
    ...(traffic.group === undefined ? [] : [`of the group ${traffic.group}`]),
    ...(traffic.fragments ? ["with later fragments"] : []),
    ...(traffic.when === undefined ? [] : ["at certain times"]),
    ...(traffic.rate === undefined ? [] : [`${traffic.rate.connections} a ${traffic.rate.per} from one source`]),
    ...(traffic.until === undefined ? [] : [`until ${writtenEnd(traffic.until)}`]),
    ...(traffic.running === "cut" ? ["and what it has opened ends with it"] : []),
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
  entries: readonly { readonly at: string; readonly until?: string | undefined; readonly outliving?: () => string | undefined }[],
  now: Date,
): string | undefined {
  const over = entries.flatMap(({ at, until: end, outliving }) => {
    if (end === undefined || !isOver(end, now)) return [];
    const goesOn = outliving?.();
    return [
      `${at}until: expired at ${writtenEnd(end)}; its rules do nothing any more, take it out of the program${goesOn === undefined ? "" : `; ${goesOn}`}`,
    ];
  });
  return over.length === 0 ? undefined : over.join("\n");
}
