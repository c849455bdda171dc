import { type FileHeader, type HostFile, renderHeader } from "../files/host-file";
import { formatPorts } from "../values/ports";
import { formatPrefix, type Prefix } from "../values/prefix";
import type { UtcSpan } from "../values/weekly-window";
import type { Chain, ConnectionLabel, Direction, Fragment, Layer, Match, Rule, Verdict } from "./model";

/** nftables' word for a layer. */
export const FAMILY = { ip: "inet", bridge: "bridge", device: "netdev" } as const satisfies Record<Layer, string>;
export type Family = (typeof FAMILY)[Layer];

/** Path of the fragment that holds what `object` adds to a layer. */
export function fragmentPath(layer: Layer, object: string): string {
  return `/etc/drawbridge/nft/${FAMILY[layer]}-drawbridge/50-${object}.nft`;
}

/**
 * The file that drawbridge-host loads as a part of `table <family> drawbridge`. `# attach` tells the loader which packets a chain
 * gets, `# needs` what the host must have, `# shut` what is dropped where the table does not load, `# counter` which counters it keeps over reloads.
 */
export function renderFragment(header: FileHeader, fragment: Fragment): HostFile {
  const counters = fragment.chains.flatMap(({ rules }) =>
    rules.flatMap(({ counter }) => (counter === undefined ? [] : [counter])),
  );
  const lines = [
    ...renderHeader(header),
    ...fragment.attachments.map(({ to, key = "*", chain }) => `# attach ${to} ${key} ${chain}`),
    ...(fragment.needs ?? []).map((need) => `# needs ${need}`),
    ...(fragment.shut ?? []).map(({ hook, matches }) => `# shut ${hook} ${matches.map(renderMatch).join(" ")}`),
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
    case "wrapped":
      return renderWrapped(match);
    case "ipsec-protocol":
      return `meta l4proto ${match.protocol}`;
    case "key-exchange":
      return `udp ${match.direction === "out" ? "sport" : "dport"} ${match.port}`;
    case "esp-in-udp":
      // Key exchange has four zero bytes there (RFC 3948, 2.2).
      return "@th,64,32 != 0";
    case "loopback":
      return `${deviceWord(match.direction)} "lo"`;
    case "to-this-host":
      return "fib daddr type local";
    case "from-this-host":
      return "fib saddr type local";
    case "icmpv6":
      return `icmpv6 type ${[...new Set(match.types)].join("-")} ip6 hoplimit ${match.hopLimit}`;
    case "dhcp-request":
      return match.version === 4 ? "meta protocol ip udp sport 68 udp dport 67" : "meta protocol ip6 udp sport 546 udp dport 547";
    case "dhcp-reply":
      return match.version === 4 ? "meta protocol ip udp sport 67 udp dport 68" : "meta protocol ip6 udp sport 547 udp dport 546";
    case "destination-ports":
      return `${match.protocol} dport ${formatPorts(match.ports)}`;
    case "source-ports":
      return `${match.protocol} sport ${formatPorts(match.ports)}`;
    case "connection":
      return CONNECTION[match.state];
    case "remembered":
      return `ct label ${LABEL[match.label]}`;
    case "tcp":
      return TCP[match.part];
    case "owned":
      return `meta skuid ${match.uid ?? (match.notUid === undefined ? ">= 0" : `!= ${match.notUid}`)}`;
    case "time":
      return renderTime(match.span);
    default:
      return `${match.tagged ? `ether type 8021q vlan type ${versionOf(match.prefixes)} ` : ""}${renderAddress(match.is, match.prefixes)}`;
  }
}

const CONNECTION = {
  new: "ct state new",
  unknown: "ct state invalid,new,untracked",
  open: "ct state established,related",
  answer: "ct direction reply",
} as const;

/** Numbers of labels, of 0 to 127. Names would want /etc/xtables/connlabel.conf; the last ones are the least likely to be somebody's. */
const LABEL = { begun: 126, refused: 127 } as const satisfies Record<ConnectionLabel, number>;

// A packet without data has no first byte behind its TCP header, so that the last one holds for no such packet.
const TCP = { opening: "tcp flags & (syn | ack) == syn", later: "tcp flags & (syn | ack) != syn", data: "@ih,0,8 >= 0" } as const;

function renderWrapped({ direction, reqid, from, to }: Extract<Match, { is: "wrapped" }>): string {
  const end = (side: "destination" | "source", address: Prefix | undefined) =>
    address === undefined ? [] : [`ipsec ${direction} ${renderAddress(side, [address])}`];
  return [
    direction === "out" ? "rt ipsec exists" : "meta ipsec exists",
    ...(reqid === undefined ? [] : [`ipsec ${direction} reqid ${reqid}`]),
    ...end("source", from),
    ...end("destination", to),
  ].join(" ");
}

const deviceWord = (direction: Direction) => (direction === "out" ? "oifname" : "iifname");

// Days by number: nft takes ranges of them only so. What is meant is UTC, and drawbridge-host runs nft with TZ=UTC.
function renderTime({ days, minutes, dates }: UtcSpan): string {
  const [first, last] = dates ?? [];
  const date =
    first !== undefined && last !== undefined
      ? `"${first}"-"${last}"`
      : first !== undefined
        ? `>= "${first}"`
        : last !== undefined
          ? `<= "${last}"`
          : undefined;
  return [
    ...(date === undefined ? [] : [`meta time ${date}`]),
    ...(days === undefined ? [] : [`meta day ${[...new Set(days)].join("-")}`]),
    ...(minutes === undefined ? [] : [`meta hour "${clock(minutes[0] * 60)}"-"${clock(minutes[1] * 60 - 1)}"`]),
  ].join(" ");
}

/** Seconds since midnight as "08:30:00". */
function clock(seconds: number): string {
  return [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
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
      return `limit rate 10/minute burst 5 packets log prefix "${verdict.prefix}" flags skuid`;
    case "remember":
      return `ct label set ${LABEL[verdict.label]}`;
    case "ask":
      return verdict.map === "users" ? "meta skuid vmap @users" : "meta skgid vmap @groups";
    default:
      return verdict.is;
  }
}
