import { type FileHeader, type HostFile, renderHeader } from "../files/host-file";
import { formatPrefix, type Prefix } from "../values/prefix";
import type { Chain, Fragment, Layer, Match, Rule, Verdict } from "./model";

/** nftables' word for a layer. */
export const FAMILY = { ip: "inet", bridge: "bridge", device: "netdev" } as const satisfies Record<Layer, string>;
export type Family = (typeof FAMILY)[Layer];

/** Path of the fragment that holds what `object` adds to a layer. */
export function fragmentPath(layer: Layer, object: string): string {
  return `/etc/drawbridge/nft/${FAMILY[layer]}-drawbridge/50-${object}.nft`;
}

/**
 * The file that drawbridge-host loads as a part of `table <family> drawbridge`. `# attach` tells the loader which packets the
 * first chain gets, `# counter` which counters it keeps over reloads.
 */
export function renderFragment(header: FileHeader, fragment: Fragment): HostFile {
  const counters = fragment.chains.flatMap(({ rules }) =>
    rules.flatMap(({ counter }) => (counter === undefined ? [] : [counter])),
  );
  const hook = fragment.layer === "device" ? "egress" : "postrouting";
  const lines = [
    ...renderHeader(header),
    `# attach ${hook} ${fragment.leaving} ${fragment.chains[0].name}`,
    ...[...new Set(counters)].map((name) => `# counter ${name}`),
    // A chain must be declared before the rule that leads to it.
    ...fragment.chains.toReversed().flatMap(renderChain),
  ];
  return { path: fragmentPath(fragment.layer, header.object), text: `${lines.join("\n")}\n`, mode: "0644" };
}

/** Rule id to the line that will stand on the host, less its comment; the resource's own long names are shortened to `…`. */
export function describeRules(object: string, fragments: readonly Fragment[]): Record<string, string> {
  return Object.fromEntries(
    fragments.flatMap(({ layer, chains }) =>
      chains.flatMap(({ rules }) =>
        rules.map((rule) => [ruleKey(FAMILY[layer], rule.id), shorten(object, renderRule(rule))] as const),
      ),
    ),
  );
}

export function ruleKey(family: Family, id: string): string {
  return `${family} ${id}`;
}

/** A rule's text as `rules` shows it. */
export function shorten(object: string, text: string): string {
  return text.replaceAll(object, "…");
}

const renderChain = ({ name, rules }: Chain): string[] => [
  `chain ${name} {`,
  ...rules.map((rule) => `\t${renderRule(rule)} comment "${rule.note === undefined ? rule.id : `${rule.id} | ${rule.note}`}"`),
  "}",
];

function renderRule({ matches, counter, verdict }: Rule): string {
  return [
    ...matches.map(renderMatch),
    ...(counter === undefined ? [] : [`counter name "${counter}"`]),
    renderVerdict(verdict),
  ].join(" ");
}

function renderMatch(match: Match): string {
  switch (match.is) {
    case "wrapped-by-tunnel":
      return "rt ipsec exists";
    case "icmpv6":
      return `icmpv6 type ${[...new Set(match.types)].join("-")}`;
    case "dhcp-request":
      return match.version === 4 ? "udp sport 68 udp dport 67" : "udp sport 546 udp dport 547";
    default:
      return `${match.tagged ? `ether type 8021q vlan type ${versionOf(match.prefixes)} ` : ""}${renderAddress(match.is, match.prefixes)}`;
  }
}

function renderAddress(side: "destination" | "source", prefixes: readonly Prefix[]): string {
  const texts = prefixes.map(formatPrefix);
  const list = texts.length === 1 ? texts.join() : `{ ${texts.join(", ")} }`;
  return `${versionOf(prefixes)} ${side === "destination" ? "daddr" : "saddr"} ${list}`;
}

const versionOf = (prefixes: readonly Prefix[]) => (prefixes[0]?.bits === 128 ? "ip6" : "ip");

function renderVerdict(verdict: Verdict): string {
  switch (verdict.is) {
    case "goto":
      return `goto ${verdict.chain}`;
    case "log":
      return `limit rate 10/minute burst 5 packets log prefix "${verdict.prefix}"`;
    default:
      return verdict.is;
  }
}
