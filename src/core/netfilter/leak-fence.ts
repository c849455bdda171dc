import { z } from "zod";
import {
  contains,
  firstAddress,
  outermost,
  parsePrefix,
  type Prefix,
  prefixesOf,
  prefixText,
  type Version,
  VERSIONS,
  versionOf,
} from "../values/prefix";
import { interfaceName } from "../values/names";
import { expandNetworks, networkList, presetsOf } from "../values/networks";
import { inAddressSet, setName } from "./address-set";
import type { HostFacts, HostSurvey } from "../files/snapshot";
import type { Awaited } from "../links/awaited";
import { exception, type Free, LEAVES_FREELY, leakChain, LINK_DHCP, OWN_DHCP, repeatedExceptions, toLeak } from "./fence";
import type { Chain, Fragment, NamedSet, Rule, SetElement, Verdict } from "./model";
import type { Layer } from "./slots";

/** An exception by prefix, or by an AddressSet. */
const ownException = exception.extend({ cidr: prefixText.optional(), set: setName.optional() });

/** LeakFence's own arguments; see the class for their meaning. */
export const leakFence = z.strictObject({
  uplink: z.union([interfaceName, z.strictObject({ interface: interfaceName, bridge: interfaceName })], {
    error: 'must be an interface name like "eth0", or { interface: "eth0", bridge: "br0" } where it is a port of a bridge',
  }),
  networks: networkList,
  exceptions: z.array(ownException).default([]),
  mode: z.enum(["drop", "log"]).default("drop"),
  egress: z.boolean().default(true),
});
export type LeakFenceIntent = z.infer<typeof leakFence>;

/** The interface by which packets leave, and the bridge of which it is a port. */
export function awaitedByLeakFence({ uplink }: LeakFenceIntent): Awaited[] {
  const { interface: name, bridge } = typeof uplink === "string" ? { interface: uplink } : uplink;
  const until = "the fence stops nothing";
  return [
    { property: "uplink", what: "interface", name, until },
    ...(bridge === undefined ? [] : [{ property: "uplink.bridge", what: "bridge", name: bridge, until } as const]),
  ];
}

/** The interface that is fenced. */
export function fencedInterface({ uplink }: LeakFenceIntent): string {
  return typeof uplink === "string" ? uplink : uplink.interface;
}

/**
 * Two independent lines: the IP layer after source NAT (or the bridge's, where the uplink is a port), then the device itself,
 * which raw frames meet too. Each line asks exceptions first, then the networks, by destination and by source. Both are sets, so that a
 * packet meets the same few rules however many there are.
 */
export function compileLeakFence(object: string, intent: LeakFenceIntent): Fragment[] {
  const first: Layer = typeof intent.uplink === "string" ? "ip" : "bridge";
  const layers: Layer[] = intent.egress ? [first, "device"] : [first];
  const lists = listsOf(intent);
  const key = fencedInterface(intent);
  const sets = SIDES.flatMap((side) => setsOf(object, side, lists));
  const elements = SIDES.flatMap((side) => elementsOf(object, side, lists));
  return layers.map((layer) => ({
    layer,
    attachments: [{ to: layer === "device" ? "egress" : "postrouting", key, chain: object }],
    sets,
    elements,
    chains: chainsOf(object, layer, lists),
  }));
}

/** What a fence's rules are made of, read once for all of them. */
interface Lists {
  readonly free: readonly Free[];
  readonly mode: LeakFenceIntent["mode"];
  readonly networks: readonly Prefix[];
  readonly denied: readonly Denied[];
  /** Of which preset a network is. */
  readonly presets: ReadonlyMap<string, string>;
  readonly exceptions: readonly { readonly side: Side; readonly prefix: Prefix; readonly description: string | undefined }[];
  /** Sets of others, whoever is in them. */
  readonly exceptedSets: readonly { readonly side: Side; readonly set: string; readonly description: string | undefined }[];
}

function listsOf({ uplink, mode, networks, exceptions }: LeakFenceIntent): Lists {
  const expanded = expandNetworks(networks);
  const read = exceptions.flatMap(({ cidr, direction: side, description }) =>
    prefixesOf(cidr === undefined ? [] : [cidr]).map((prefix) => ({ side, prefix, description })),
  );
  return {
    free: [...LEAVES_FREELY, ...OWN_DHCP, ...(typeof uplink === "string" ? [] : LINK_DHCP)],
    mode,
    networks: expanded,
    denied: deniedOf(expanded),
    presets: presetsOf(networks),
    // What lies in another one of its side adds nothing.
    exceptions: SIDES.flatMap((side) =>
      outermost(
        read.filter((one) => one.side === side),
        ({ prefix }) => prefix,
      ),
    ),
    exceptedSets: exceptions.flatMap(({ set, direction: side, description }) =>
      set === undefined ? [] : [{ side, set, description }],
    ),
  };
}

type Side = "to" | "from";
const SIDES: readonly Side[] = ["to", "from"];
const MATCH = { to: "destination", from: "source" } as const;
/** Where a side's rules stand: ids sort in the order in which the packet meets them. */
const NUMBER = { to: { except: 10, deny: 20 }, from: { except: 40, deny: 50 } } as const;

const hasVersion = (prefixes: readonly Prefix[], version: Version) => prefixes.some((prefix) => versionOf(prefix) === version);

/** The name on the host of the exceptions for a side. */
const exceptSet = (object: string, side: Side, version: Version) => `${object}.except-${side}.ipv${version}`;

/** So many networks of one length get a map of their own, where the kernel finds them by a hash, and not in a tree that grows with their number. */
const MANY_OF_ONE_LENGTH = 64;

/** A map from networks of one IP version to their counters. */
interface Denied {
  readonly version: Version;
  /** Of all of them; absent: they have any. */
  readonly length?: number;
  readonly networks: readonly Prefix[];
}

/** What the names of a map and of its rules have behind them. */
const suffixOf = ({ version, length }: Denied) => `ipv${version}${length === undefined ? "" : `.${length}`}`;
const deniedMap = (object: string, side: Side, denied: Denied) => `${object}.${side}.${suffixOf(denied)}`;

/** Each network is in one of them, and no two overlap, so that their order does not matter. */
function deniedOf(networks: readonly Prefix[]): Denied[] {
  return VERSIONS.flatMap((version) => {
    const own = networks.filter((network) => versionOf(network) === version);
    const lengths = [...new Set(own.map(({ length }) => length))];
    const many = lengths
      .map((length): Denied => ({ version, length, networks: own.filter((network) => network.length === length) }))
      .filter((one) => one.networks.length >= MANY_OF_ONE_LENGTH);
    const rest = own.filter((network) => !many.some(({ length }) => length === network.length));
    return [...(rest.length > 0 ? [{ version, networks: rest }] : []), ...many];
  });
}

const exceptedFor = (side: Side, { exceptions }: Lists) => exceptions.filter((one) => one.side === side);

function setsOf(object: string, side: Side, lists: Lists): NamedSet[] {
  const excepted = exceptedFor(side, lists).map(({ prefix }) => prefix);
  const typeOf = (version: Version) => ({ is: "type", text: `ipv${version}_addr` }) as const;
  return [
    ...VERSIONS.filter((version) => hasVersion(excepted, version)).map((version): NamedSet => ({
      name: exceptSet(object, side, version),
      type: typeOf(version),
      flags: ["interval"],
      what: `exceptions for what goes ${side} them`,
    })),
    ...lists.denied.map((denied): NamedSet => ({
      name: deniedMap(object, side, denied),
      type: typeOf(denied.version),
      ...(denied.length === undefined ? { flags: ["interval"] } : {}),
      leadsTo: "counters",
      what: `networks, and the counter of what goes ${side} each`,
    })),
  ];
}

function elementsOf(object: string, side: Side, lists: Lists): SetElement[] {
  const excepted = exceptedFor(side, lists).map(({ prefix, description }): SetElement => {
    const text = prefix.text;
    return {
      set: exceptSet(object, side, versionOf(prefix)),
      element: text,
      ...(description === undefined ? {} : { note: description }),
      id: `${NUMBER[side].except} except ${side} ${text}`,
      decision: `except ${side} ${text}`,
    };
  });
  const denied = lists.denied.flatMap((map) =>
    map.networks.map((network): SetElement => {
      const text = network.text;
      return {
        set: deniedMap(object, side, map),
        element: map.length === undefined ? text : firstAddress(network, map.length).text,
        // A counter's name has no colon.
        counter: `${object}.${side}.${text.replaceAll(":", "_")}`,
        id: `${NUMBER[side].deny} deny ${side} ${text}`,
        ...decisionOn(text, lists.presets.get(text)),
      };
    }),
  );
  return [...excepted, ...denied];
}

const decisionOn = (network: string, preset: string | undefined): Pick<SetElement, "decision" | "member"> =>
  preset === undefined ? { decision: `deny ${network}` } : { decision: `deny ${preset}`, member: network };

/**
 * Destinations are judged first, then sources, each after its own exceptions: an exception for one side says nothing about the
 * other, so that a host with a private address of its own, excepted as a source, still reaches no private destination.
 */
function chainsOf(object: string, layer: Layer, lists: Lists): Chain[] {
  const sources = `${object}.from`;
  const toSources = { is: "goto", chain: sources } as const;
  const judged: Rule = { id: "30 judge the source", matches: [], verdict: toSources };
  return [
    {
      name: object,
      rules: [
        ...neverFenced(layer, lists),
        ...exceptionsOf(object, layer, "to", lists, toSources),
        ...denialsOf(object, layer, "to", lists),
        judged,
      ],
    },
    {
      name: sources,
      rules: [...exceptionsOf(object, layer, "from", lists, { is: "return" }), ...denialsOf(object, layer, "from", lists)],
    },
    leakChain(object, lists.mode),
  ];
}

function neverFenced(layer: Layer, { free }: Lists): Rule[] {
  const pass = { is: "return" } as const;
  // What a policy will still wrap leaves as ESP, with other addresses, and meets the fence again.
  const tunnel: Rule = {
    id: "00 pass what a tunnel will wrap",
    matches: [{ is: "wrapped", direction: "out" }],
    verdict: pass,
  };
  return [
    ...(layer === "ip" ? [tunnel] : []),
    ...free.map(({ number, what, matches }): Rule => ({ id: `${number} pass ${what}`, matches, verdict: pass })),
  ];
}

/** Packets of the IP layer carry no tag yet; where frames are seen, one 802.1Q tag can be looked behind. */
const TAGS = { ip: [false], bridge: [false, true], device: [false, true] } as const satisfies Record<Layer, readonly boolean[]>;

function exceptionsOf(object: string, layer: Layer, side: Side, lists: Lists, verdict: Verdict): Rule[] {
  const prefixes = exceptedFor(side, lists).map(({ prefix }) => prefix);
  const begins = (tagged: boolean) => `${NUMBER[side].except + (tagged ? 1 : 0)} except ${tagged ? "tagged " : ""}${side}`;
  const own = VERSIONS.filter((version) => hasVersion(prefixes, version)).flatMap((version) =>
    TAGS[layer].map((tagged): Rule => ({
      id: `${begins(tagged)} the IPv${version} exceptions`,
      matches: [{ is: "in-set", side: MATCH[side], version, set: exceptSet(object, side, version), tagged }],
      verdict,
    })),
  );
  const ofOthers = lists.exceptedSets
    .filter((one) => one.side === side)
    .flatMap(({ set, description }) =>
      VERSIONS.flatMap((version) =>
        TAGS[layer].flatMap((tagged) =>
          inAddressSet(set, MATCH[side], version, "none").map((match): Rule => ({
            id: `${begins(tagged)} ${match.set}`,
            ...(description === undefined ? {} : { note: description }),
            matches: [{ ...match, tagged }],
            verdict,
            decision: `except ${side} the set ${set}`,
          })),
        ),
      ),
    );
  return [...own, ...ofOthers];
}

function denialsOf(object: string, layer: Layer, side: Side, { denied }: Lists): Rule[] {
  return denied.flatMap((map) =>
    TAGS[layer].map((tagged): Rule => {
      const { version, length } = map;
      const what = `the IPv${version} networks${length === undefined ? "" : ` of length ${length}`}`;
      return {
        id: `${NUMBER[side].deny + (tagged ? 1 : 0)} deny ${tagged ? "tagged " : ""}${side} ${what}`,
        matches: [{ is: "counted-in", side: MATCH[side], version, map: deniedMap(object, side, map), length, tagged }],
        // Beside the network's own.
        ...(tagged ? { counter: `${object}.${side}.tagged-ipv${version}` } : {}),
        verdict: toLeak(object),
      };
    }),
  );
}

/** The networks that are fenced less the exceptions for one direction: does a packet to (or from) `address` surely leak? Who is in a set of others is not known here. */
function isFenced({ networks, exceptions, exceptedSets }: Lists, side: Side, address: Prefix): boolean {
  if (exceptedSets.some((one) => one.side === side)) return false;
  const within = (prefixes: readonly Prefix[]) => prefixes.some((outer) => contains(outer, address));
  return within(networks) && !within(exceptions.flatMap((one) => (one.side === side ? [one.prefix] : [])));
}

/** What no single argument can tell. */
export function reviewLeakFence({ exceptions }: LeakFenceIntent): { property: string; reason: string }[] {
  const neither = exceptions.flatMap(({ cidr, set }, index) =>
    (cidr === undefined) === (set === undefined)
      ? [{ property: `exceptions[${index}]`, reason: "must have either `cidr` or `set`, the name of an AddressSet" }]
      : [],
  );
  return [...neither, ...repeatedExceptions(exceptions)];
}

/**
 * Why the host would make the fence inert (an interface of another nature) or dangerous (it would cut off what the host itself
 * needs: its own address, the SSH peer, resolvers, time and DHCP servers in use).
 */
export function refuseLeakFence(intent: LeakFenceIntent, { facts }: HostSurvey): { property: string; reason: string }[] {
  const inert = inertUplink(intent, facts);
  return inert === undefined ? missingExceptions(intent, facts) : [{ property: "uplink", reason: inert }];
}

function inertUplink({ uplink }: LeakFenceIntent, { links }: HostFacts): string | undefined {
  const name = typeof uplink === "string" ? uplink : uplink.interface;
  const link = links.get(name);
  // An interface that is still to come is waited for.
  if (!link) return undefined;
  if (link.isBridge) {
    const ports = [...links].filter(([, { master }]) => master === name).map(([port]) => port);
    const example = ports.length > 0 ? `, for example { interface: "${ports[0]}", bridge: "${name}" }` : "";
    return `${name} is a bridge; fence the port that leads outside${example} (its ports: ${ports.join(", ") || "none"})`;
  }
  if (typeof uplink === "string") {
    if (link.master === undefined) return undefined;
    return `${name} is a port of ${link.master}, so that no routed packet ever leaves by it; write { interface: "${name}", bridge: "${link.master}" }`;
  }
  if (link.master === uplink.bridge) return undefined;
  return link.master === undefined
    ? `${name} is no port of ${uplink.bridge} but stands by itself; write uplink: "${name}", or enslave it first`
    : `${name} is a port of ${link.master}, not of ${uplink.bridge}`;
}

function missingExceptions(intent: LeakFenceIntent, { links, services }: HostFacts): { property: string; reason: string }[] {
  if (intent.mode === "log") return [];
  const name = fencedInterface(intent);
  const ways = [name, links.get(name)?.master].filter((way) => way !== undefined);
  const own = ways
    .flatMap((way) => links.get(way)?.addresses ?? [])
    .map((address) => ({ side: "from" as const, address, what: "the interface's own address" }));
  const used = services
    .filter(({ device }) => ways.includes(device))
    .map(({ address, what }) => ({
      side: "to" as const,
      address,
      what: what === "peer" ? "where this SSH connection comes from" : `a ${what} in use`,
    }));
  const sources = services
    .filter(({ device }) => ways.includes(device))
    .flatMap(({ source }) => (source === undefined ? [] : [source]));
  const all = [...own.filter(({ address }) => !isLinkLocal(address) || sources.includes(address)), ...used];
  // One server may do several things.
  const first = all.filter(
    ({ side, address }, index) => all.findIndex((other) => other.side === side && other.address === address) === index,
  );
  const lists = listsOf(intent);
  return first.flatMap(({ side, address, what }) => {
    const parsed = parsePrefix(address);
    if (typeof parsed === "string" || !isFenced(lists, side, parsed)) return [];
    const missing = `{ cidr: "${parsed.text}", direction: "${side}", description: "${what}" }`;
    return [{ property: "exceptions", reason: `the fence would cut off ${address}, ${what}; add the exception ${missing}` }];
  });
}

// Every interface has fe80::/10, and what must work with it is never fenced.
const isLinkLocal = (address: string) => address.startsWith("fe80:");
