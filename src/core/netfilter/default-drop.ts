import { z } from "zod";
import type { HostFacts, HostSurvey } from "../files/snapshot";
import { aggregate, contains, prefixesOf, prefixText, type Version, VERSIONS, versionOf } from "../values/prefix";
import { singlePort } from "../values/ports";
import { DISCOVERY } from "./fence";
import { judge } from "./judge";
import { logPrefix } from "./kernel-log";
import type { Match } from "./matches";
import type { Chain, FailClosedRule, Fragment, NamedSet, Passage, Rule, SetElement } from "./model";
import { outliving } from "./outliving";
import { FORCE, sshInUse } from "./ssh-in-use";
import {
  begun,
  describeTraffic,
  expiredOf,
  type Hook,
  openingShape,
  placeShape,
  reviewOpening,
  reviewPlace,
  slotIn,
  type Traffic,
} from "./traffic";
import type { Phase } from "./slots";
import { compileTraffic, type Naming, needsOf, needsOfDrop, passableWays, phaseOf } from "./traffic-rules";

const entry = z.strictObject(openingShape);
const servers = z.union([z.boolean(), z.strictObject({ servers: z.array(prefixText).min(1, "must name at least one server") })]);

const NFLOG_GROUPS = "must be a group from 0 to 65535";

/** DefaultDrop's own arguments; see the class for their meaning. */
export const defaultDrop = z.strictObject({
  ...placeShape,
  management: z
    .strictObject({ sources: z.array(prefixText).min(1, "must name where you come from"), port: singlePort.default(22) })
    .optional(),
  allow: z.array(entry).default([]),
  basics: z
    .strictObject({
      loopback: z.boolean().default(true),
      icmpErrors: z.boolean().default(true),
      neighbours: z.boolean().default(true),
      dhcpClient: z.boolean().default(true),
      echo: z.boolean().default(true),
      arp: z.boolean().default(true),
      dns: servers.default(true),
      ntp: servers.default(true),
    })
    .prefault({}),
  established: z.boolean().default(true),
  final: z.enum(["drop", "reject"]).default("drop"),
  mode: z.enum(["drop", "log"]).default("drop"),
  log: z
    .strictObject({
      nflogGroup: z.number().int("must be a whole number").min(0, NFLOG_GROUPS).max(65535, NFLOG_GROUPS),
    })
    .optional(),
  force: z.boolean().default(false),
});
export type DefaultDropIntent = z.infer<typeof defaultDrop>;

/**
 * Chains in the phases of its hook: what belongs to open connections passes behind every deny, then what is allowed here, and in the end everything else is
 * dropped. No policy of a chain: only what comes to the end is dropped.
 */
export function compileDefaultDrop(object: string, intent: DefaultDropIntent): Fragment[] {
  const { hook, bridge, established } = intent;
  const { layer, to } = slotIn(intent);
  const named = intent.allow.map((traffic, index): readonly [Traffic, Naming] => {
    const number = String(index + 1).padStart(3, "0");
    return [
      traffic,
      { object, hook, id: `allow ${number}`, number: "20", decision: `allow ${number} ${describeTraffic(traffic)}` },
    ];
  });
  const { passages, others } = bridge === undefined ? inMaps(named, hook) : { passages: [], others: named };
  const entries = others.map(([traffic, naming]) => ({
    phase: phaseOf(traffic, "host"),
    ...compileTraffic(traffic, { is: "accept" }, naming),
  }));
  const rulesIn = (phase: Phase) => entries.flatMap((one) => (one.phase === phase ? one.rules : []));
  const management = managementOf(object, intent);
  const open: Chain[] = established ? [{ name: `${object}.open`, rules: openRules(object, hook) }] : [];
  const allowed: Chain = {
    name: object,
    rules: [...basicRules(hook, intent), ...management.rules, ...rulesIn("host"), ...(hook === "output" ? ASKED : [])],
  };
  const ending: Chain[] = rulesIn("ending").length > 0 ? [{ name: `${object}.ending`, rules: rulesIn("ending") }] : [];
  return [
    {
      layer,
      attachments: [
        ...open.map(({ name }) => ({ to, key: "established", chain: name })),
        { to, key: "host", chain: object },
        ...ending.map(({ name }) => ({ to, key: "ending", chain: name })),
        { to, key: "final", chain: `${object}.final` },
      ],
      chains: [...open, allowed, ...ending, { name: `${object}.final`, rules: finalRules(object, intent) }],
      sets: [...management.sets, ...entries.flatMap(({ sets }) => sets)],
      elements: [...management.elements, ...entries.flatMap(({ elements }) => elements)],
      passages,
      accounts: entries.flatMap(({ accounts }) => accounts),
      needs: [
        ...needsOf([...open.flatMap(({ rules }) => rules), ...allowed.rules, ...rulesIn("ending")], bridge),
        ...needsOfDrop(bridge, intent.force || intent.mode === "log"),
      ],
      failClosed: failClosedOf(intent),
    },
    ...(hook === "forward" && bridge === undefined ? [markingOf(object)] : []),
  ];
}

/** So many entries are asked one after the other without a packet's noticing it. */
const MOST_IN_A_ROW = 64;

/**
 * Of very many entries, those that say addresses and ports alone are elements of maps, which Allows share with them. Few are rules: in the moment of a commit that loads the whole table a map
 * has no elements, and a packet that opens a connection would have to be sent again.
 */
function inMaps(entries: readonly (readonly [Traffic, Naming])[], hook: Hook) {
  const ways = entries.map((entry) => ({ entry, passing: passableWays(...entry) }));
  const passages = ways
    .flatMap(({ passing = [] }) => passing)
    .map((way): Passage => ({ ...way, to: `drop.${hook}`, key: "host" }));
  if (passages.length <= MOST_IN_A_ROW) return { passages: [], others: entries };
  return { passages, others: ways.flatMap(({ entry, passing }) => (passing === undefined ? [entry] : [])) };
}

/** What a bridge hands from port to port is marked while br_netfilter may show it to the IP layer: before, under traffic or never, nobody tells us when. */
function markingOf(object: string): Fragment {
  const [begin, end] = [`${object}.mark`, `${object}.unmark`];
  return {
    layer: "bridge",
    attachments: [
      { to: "forward.begin", chain: begin },
      { to: "forward.end", chain: end },
    ],
    chains: [
      { name: begin, rules: [{ id: "10 mark what is bridged", matches: [], verdict: { is: "mark-bridged" } }] },
      { name: end, rules: [{ id: "10 take the mark off", matches: [], verdict: { is: "unmark-bridged" } }] },
    ],
  };
}

const ONLY_BRIDGED: Match = { is: "only-bridged" };
const ARP: Match = { is: "ether-type", type: "arp" };

const pass = (id: string, ...matches: Match[]): Rule => ({ id, matches, verdict: { is: "accept" } });

/**
 * An ICMP error about an open connection is related to it; other related packets want an allow of their own. What ends with its entry goes on to it. Of what opens at `input` or
 * `output`, the other way is looked at by another hook, which knows nothing of the entry.
 */
const openRules = (object: string, hook: Hook): Rule[] => [
  {
    id: "09 judge anew what ends with its entry",
    matches: [
      { is: "connection", state: "established" },
      ...(hook === "forward" ? [] : [{ is: "connection", state: "question" } as const]),
      { is: "remembered", label: "ending" },
    ],
    verdict: { is: "return" },
  },
  ...[
    pass("10 pass what belongs to open connections", { is: "connection", state: "established" }),
    pass("11 pass ICMP errors about them", { is: "connection", state: "related" }, { is: "protocol", protocol: "icmp" }),
    pass("12 pass ICMPv6 errors about them", { is: "connection", state: "related" }, { is: "protocol", protocol: "icmpv6" }),
  ].map((rule) => ({ ...rule, counter: `${object}.open` })),
];

/** What a host needs to work at all, each by its name in `basics`. */
function basicRules(hook: Hook, { basics, bridge }: DefaultDropIntent): Rule[] {
  const direction = hook === "output" ? "out" : "in";
  const isHost = hook !== "forward";
  return [
    ...(isHost || bridge !== undefined ? [] : [pass("01 pass what is only bridged", ONLY_BRIDGED)]),
    ...(bridge !== undefined && basics.arp ? [pass("01 pass ARP", ARP)] : []),
    ...(isHost && basics.loopback ? [pass("01 pass loopback", { is: "loopback", direction })] : []),
    // Without these, packets that are too large for the way vanish (RFC 1191, RFC 8201).
    pass("02 pass ICMP destination unreachable", { is: "icmp", version: 4, types: [3, 3] }),
    pass("02 pass ICMPv6 packet too big", { is: "icmp", version: 6, types: [2, 2] }),
    ...(basics.icmpErrors
      ? [
          pass("03 pass ICMP time exceeded and parameter problem", { is: "icmp", version: 4, types: [11, 12] }),
          pass("03 pass ICMPv6 errors", { is: "icmp", version: 6, types: [1, 4] }),
        ]
      : []),
    ...((isHost || bridge !== undefined) && basics.neighbours ? NEIGHBOURS : []),
    ...(isHost && basics.dhcpClient
      ? VERSIONS.map((version) =>
          pass(`05 pass DHCPv${version} of this host as a client`, {
            is: hook === "output" ? "dhcp-request" : "dhcp-reply",
            version,
          }),
        )
      : []),
    ...(isHost && basics.echo
      ? [
          pass("06 pass echo requests", { is: "icmp", version: 4, types: [8, 8] }),
          pass("06 pass ICMPv6 echo requests", { is: "icmp", version: 6, types: [128, 128] }),
        ]
      : []),
    ...(hook === "output"
      ? [...toServers("dns", ["udp", "tcp"], 53, basics.dns), ...toServers("ntp", ["udp"], 123, basics.ntp)]
      : []),
  ];
}

/** What UserOutputChains open, whether an OutputGuard stands or not; they accept, or come back here. */
const ASKED: readonly Rule[] = [
  { id: "30 ask the user's rules", matches: [], verdict: { is: "ask", map: "users" } },
  { id: "31 ask the group's rules", matches: [], verdict: { is: "ask", map: "groups" } },
];

/** Of one link alone: discovery has hop limit 255, listeners have 1 (RFC 4861, 7.1; RFC 2710, 3; RFC 3810, 5). */
const NEIGHBOURS: readonly Rule[] = [
  pass("04 pass neighbour and router discovery", DISCOVERY),
  pass("04 pass listener queries and reports", { is: "icmpv6", types: [130, 132], hopLimit: 1 }),
  pass("04 pass listener reports", { is: "icmpv6", types: [143, 143], hopLimit: 1 }),
];

function toServers(
  name: "dns" | "ntp",
  protocols: readonly ("udp" | "tcp")[],
  port: number,
  wanted: z.infer<typeof servers>,
): Rule[] {
  if (wanted === false) return [];
  const places: Match[][] =
    wanted === true ? [[]] : aggregate(prefixesOf(wanted.servers)).map((prefix) => [{ is: "destination", prefixes: [prefix] }]);
  return places.flatMap((place, index) =>
    protocols.map((protocol) =>
      pass(`07 pass ${name} ${protocol}${wanted === true ? "" : ` ${String(index + 1).padStart(3, "0")}`}`, ...place, {
        is: "destination-ports",
        protocol,
        ports: [port, port],
      }),
    ),
  );
}

/** SSH of the administrator: to this host on input, its answers on output. */
function managementOf(
  object: string,
  { hook, management }: DefaultDropIntent,
): { rules: Rule[]; sets: NamedSet[]; elements: SetElement[] } {
  if (management === undefined || hook === "forward") return { rules: [], sets: [], elements: [] };
  const prefixes = aggregate(prefixesOf(management.sources));
  const decision = `management from ${management.sources.join(", ")}`;
  const versions = VERSIONS.filter((version) => prefixes.some((prefix) => versionOf(prefix) === version));
  const name = (version: Version) => `${object}.management.ipv${version}`;
  return {
    rules: versions.map((version) => ({
      ...pass(
        `15 pass management, IPv${version}`,
        { is: "in-set", side: hook === "output" ? "destination" : "source", version, set: name(version) },
        ...managementPort(hook, management.port),
      ),
      counter: `${object}.management`,
      decision,
    })),
    sets: versions.map((version) => ({
      name: name(version),
      type: { is: "type", text: `ipv${version}_addr` },
      flags: ["interval"],
      what: "where the administrator comes from",
    })),
    elements: prefixes.map((prefix) => ({ set: name(versionOf(prefix)), element: prefix.text, decision })),
  };
}

/** What goes out is an answer: nobody on this host opens a connection from that port. */
function managementPort(hook: Hook, port: number): Match[] {
  const ports = [port, port] as const;
  return hook === "output"
    ? [
        { is: "source-ports", protocol: "tcp", ports },
        { is: "tcp", part: "later" },
      ]
    : [{ is: "destination-ports", protocol: "tcp", ports }];
}

function finalRules(object: string, { hook, final, mode, log }: DefaultDropIntent): Rule[] {
  const logged: Rule = {
    id: "90 log what nobody allows",
    matches: [],
    verdict: { is: "log", prefix: logPrefix(object, hook), ...log },
  };
  const counter = `${object}.dropped`;
  if (mode === "log") return [logged, { id: "91 count what would be dropped", matches: [], counter, verdict: { is: "return" } }];
  if (final === "drop") return [logged, { id: "91 drop the rest", matches: [], counter, verdict: { is: "drop" } }];
  return [
    logged,
    {
      id: "91 reset TCP",
      matches: [{ is: "protocol", protocol: "tcp" }],
      counter: `${object}.reset`,
      verdict: { is: "reject", with: "tcp reset" },
    },
    {
      id: "92 refuse the rest",
      matches: [],
      counter: `${object}.refused`,
      verdict: { is: "reject", with: "icmpx admin-prohibited" },
    },
  ];
}

/**
 * Where the table does not load: loopback, discovery, the host's lease and the administrator pass, and nothing else of this hook. Both ways, for a deny whose set nobody
 * declares lets them pass as well, on whichever hook it stands.
 */
function failClosedOf({ hook, bridge, management, mode }: DefaultDropIntent): FailClosedRule[] {
  const needed: FailClosedRule[] =
    hook === "forward"
      ? (bridge === undefined ? [ONLY_BRIDGED] : [ARP, DISCOVERY]).map((match) => ({ hook, verdict: "pass", matches: [match] }))
      : (["input", "output"] as const).flatMap((way) => neededBy(way, management));
  // A rehearsal drops nothing, so that there is nothing to close.
  const everything: FailClosedRule[] = mode === "log" ? [{ hook, verdict: "pass", matches: [] }] : [];
  return [...needed, ...everything, { hook, verdict: "drop-the-rest", matches: [] }];
}

function neededBy(hook: "input" | "output", management: DefaultDropIntent["management"]): FailClosedRule[] {
  const passes: Match[][] = [
    [{ is: "loopback", direction: hook === "output" ? "out" : "in" }],
    [DISCOVERY],
    ...VERSIONS.map((version): Match[] => [{ is: hook === "output" ? "dhcp-request" : "dhcp-reply", version }]),
    ...aggregate(prefixesOf(management?.sources ?? [])).map((prefix): Match[] => [
      { is: hook === "output" ? "destination" : "source", prefixes: [prefix] },
      ...managementPort(hook, management?.port ?? 22),
    ]),
  ];
  return passes.map((matches) => ({ hook, verdict: "pass", matches }));
}

/** What no single argument can tell. */
export function reviewDefaultDrop({
  hook,
  bridge,
  management,
  allow,
  established,
  final,
}: DefaultDropIntent): { property: string; reason: string }[] {
  const missing =
    hook !== "forward" && management === undefined
      ? [
          {
            property: "management",
            reason:
              'must say where the administrator comes from, e.g. { sources: ["198.51.100.0/24"] }; without it nobody could log in any more',
          },
        ]
      : [];
  const needless =
    hook === "forward" && management !== undefined
      ? [{ property: "management", reason: "is about this host itself; what is forwarded wants an entry of `allow`" }]
      : [];
  const unanswered =
    bridge !== undefined && final === "reject"
      ? [{ property: "final", reason: 'must be "drop" with `bridge`: the kernel answers nobody at a bridge\'s hook forward' }]
      : [];
  return [
    ...reviewPlace({ hook, bridge }),
    ...missing,
    ...needless,
    ...unanswered,
    ...allow.flatMap((traffic: Traffic, index) => [
      ...reviewOpening({ hook, bridge }, traffic, `allow[${index}].`),
      ...(traffic.rate !== undefined && !established
        ? [{ property: `allow[${index}].rate`, reason: "counts new connections, and with `established: false` none is followed" }]
        : []),
      ...(traffic.running === "cut" && !established
        ? [
            {
              property: `allow[${index}].running`,
              reason:
                "is needless with `established: false`: where no connection is followed, all of it passes by entries alone; leave it out",
            },
          ]
        : []),
      ...(traffic.fragments && established
        ? [
            {
              property: `allow[${index}].fragments`,
              reason:
                "needs `established: false`: where connections are followed, packets are put together before they are judged; leave it out",
            },
          ]
        : []),
    ]),
  ];
}

/** What check adds to the arguments, by what it added before. */
export function completeDefaultDrop({ allow }: Partial<DefaultDropIntent>, kept: Readonly<Record<string, unknown>>, now: Date) {
  const stood = Array.isArray(kept["allow"]) ? (kept["allow"] as unknown[]) : [];
  return allow === undefined ? {} : { allow: allow.map((traffic) => ({ ...traffic, ...begun(traffic, stood, now) })) };
}

export const expiredDefaultDrop = ({ hook, allow }: DefaultDropIntent, now: Date, facts?: HostFacts) =>
  expiredOf(
    allow.map((traffic, index) => ({
      at: `allow[${index}].`,
      until: traffic.until,
      outliving: () => facts && outliving(hook, traffic, facts),
    })),
    now,
  );

/** Why it would cut off whoever applies it. Only what it says itself counts: who else may allow him is not known here. */
export function refuseDefaultDrop(intent: DefaultDropIntent, { facts }: HostSurvey): { property: string; reason: string }[] {
  const { hook, management, mode, force } = intent;
  if (mode === "log" || force || management === undefined) return [];
  const ssh = sshInUse(hook, facts, management.port);
  if (!ssh) return [];
  const object = "default-drop";
  const { verdict } = judge([{ object, fragments: compileDefaultDrop(object, intent) }], ssh.packet, "unknown");
  if (verdict === "accept") return [];
  const cutOff = (property: string, way: string, missing: string) => [
    { property, reason: `this SSH connection ${way}, and would be cut off; ${missing}, or ${FORCE}` },
  ];
  if (!aggregate(prefixesOf(management.sources)).some((source) => contains(source, ssh.address)))
    return cutOff("management.sources", `comes from ${ssh.peer}`, `add "${ssh.address.text}"`);
  if (facts.sshPort !== undefined)
    return cutOff("management.port", `goes to port ${facts.sshPort} of the host`, `write \`port: ${facts.sshPort}\``);
  return [];
}
