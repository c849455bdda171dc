import { z } from "zod";
import { prefixesOf, prefixText } from "../values/prefix";
import { formatPorts, joinPorts, port } from "../values/ports";
import { leakChain, toLeak } from "./fence";
import type { Match } from "./matches";
import type { Chain, Fragment, Rule } from "./model";

/** OutputGuard's own arguments; see the class for their meaning. */
export const outputGuard = z.strictObject({
  ports: z.array(port).min(1, "must name at least one port"),
  protocol: z.enum(["tcp", "udp"]).default("tcp"),
  addresses: z.array(prefixText).default([]),
  root: z.enum(["pass", "drop"]).default("pass"),
  openConnections: z.enum(["cut", "keep"]).default("cut"),
  mode: z.enum(["drop", "log"]).default("drop"),
});
export type OutputGuardIntent = z.infer<typeof outputGuard>;

/**
 * What goes to a guarded port is asked about by its user, then by its group; what no UserOutputChain allows is a leak. Packets to
 * other ports meet one rule for each range and address of the guard, however many users there are.
 */
export function compileOutputGuard(object: string, intent: OutputGuardIntent): Fragment[] {
  const guarded = guardedBy(intent);
  const asked = `${object}.asked`;
  const begun = intent.protocol === "tcp" && intent.openConnections === "cut" ? [begunOutside(`${object}.begun`, intent)] : [];
  return [
    {
      layer: "ip",
      attachments: [...begun.map(({ name: chain }) => ({ to: "prerouting", chain }) as const), { to: "output", chain: object }],
      chains: [
        ...begun,
        {
          name: object,
          rules: guarded.map(({ text, to }): Rule => ({
            id: `20 guard ${text}`,
            matches: to,
            verdict: { is: "goto", chain: asked },
            decision: `guard ${text}`,
          })),
        },
        { name: asked, rules: [STAYS, ...judgement(object, intent)] },
        leakChain(object, intent.mode),
      ],
      failClosed: guarded.map(({ to }) => ({ hook: "output", verdict: "drop", matches: [...to, { is: "owned", notUid: 0 }] })),
    },
  ];
}

const STAYS: Rule = { id: "10 pass what stays on the host", matches: [{ is: "to-this-host" }], verdict: { is: "return" } };
const OPEN = { id: "31 pass open connections", verdict: { is: "return" } } as const;

/** What becomes of a packet to a guarded port. */
function judgement(object: string, { protocol, root, openConnections }: OutputGuardIntent): Rule[] {
  const denial = { counter: `${object}.denied`, verdict: toLeak(object) };
  const users: Rule[] = [
    { id: "40 ask the user's rules", matches: [], verdict: { is: "ask", map: "users" } },
    { id: "41 ask the group's rules", matches: [], verdict: { is: "ask", map: "groups" } },
    ...(root === "pass" ? [{ id: "42 pass root", matches: [{ is: "owned", uid: 0 }], verdict: { is: "return" } } as const] : []),
  ];
  const deniedNew = (match: Match): Rule => ({ id: "50 deny new connections", matches: [match], ...denial });
  const deniedElse: Rule = { id: "51 deny all else that somebody sends", matches: [{ is: "owned" }], ...denial };
  const answer: Match = { is: "connection", state: "answer" };
  const answers = (...matches: Match[]): Rule => ({ id: "30 pass answers", matches, verdict: { is: "return" } });
  if (protocol === "udp") {
    return openConnections === "keep"
      ? [
          answers(answer),
          { ...OPEN, matches: [{ is: "connection", state: "open" }] },
          ...users,
          deniedNew({ is: "connection", state: "unknown" }),
        ]
      : [answers(answer), ...users, deniedNew({ is: "connection", state: "new" }), deniedElse];
  }
  // Only its first packet is judged, so that it does not matter what conntrack has missed, or was told not to follow.
  if (openConnections === "keep") {
    return [{ ...OPEN, matches: [{ is: "tcp", part: "later" }] }, ...users, deniedNew({ is: "tcp", part: "opening" })];
  }
  return [
    // Where conntrack begins in the middle of a connection, it takes whoever speaks next for the one who opened it.
    answers(answer, { is: "remembered", label: "begun" }),
    {
      id: "35 remember that it was seen to begin",
      matches: [{ is: "tcp", part: "opening" }],
      verdict: { is: "remember", label: "begun" },
    },
    ...users,
    { id: "45 remember that it was refused", matches: [{ is: "owned" }], verdict: { is: "remember", label: "refused" } },
    deniedNew({ is: "connection", state: "new" }),
    deniedElse,
    ...orphaned(denial),
  ];
}

/**
 * What a process has written and not waited for when it ended has no owner any more. The kernel's own last words pass always; data
 * only where the connection was seen from its beginning and all packets of its owner had passed.
 */
function orphaned(denial: Pick<Rule, "counter" | "verdict">): Rule[] {
  const data: Match = { is: "tcp", part: "data" };
  return [
    { id: "52 deny what a refused connection leaves behind", matches: [{ is: "remembered", label: "refused" }, data], ...denial },
    {
      id: "53 pass what an allowed connection leaves behind",
      matches: [{ is: "remembered", label: "begun" }],
      verdict: { is: "return" },
    },
    { id: "54 deny data that nobody sends", matches: [data], ...denial },
  ];
}

/** Connections that somebody outside opens from a guarded port: what this host sends to them are answers. */
function begunOutside(name: string, intent: OutputGuardIntent): Chain {
  const rules = guardedBy(intent).map(({ text, from }): Rule => ({
    id: `05 remember that it began outside, ${text}`,
    matches: [...from, { is: "tcp", part: "opening" }, { is: "connection", state: "new" }],
    verdict: { is: "remember", label: "begun" },
    decision: `guard ${text}`,
  }));
  return { name, rules };
}

/** What the guard asks about, by where packets go to, and where what comes back is from. */
function guardedBy({ ports, protocol, addresses }: OutputGuardIntent): { text: string; to: Match[]; from: Match[] }[] {
  const prefixes = prefixesOf(addresses);
  return joinPorts(ports).flatMap((range) => {
    const there: Match = { is: "destination-ports", protocol, ports: range };
    const thence: Match = { is: "source-ports", protocol, ports: range };
    const text = `${protocol} ${formatPorts(range)}`;
    if (prefixes.length === 0) return [{ text, to: [there], from: [thence] }];
    return prefixes.map((prefix) => ({
      text: `${text} on ${prefix.text}`,
      to: [{ is: "destination", prefixes: [prefix] } as const, there],
      from: [{ is: "source", prefixes: [prefix] } as const, thence],
    }));
  });
}

/** What no single argument can tell. */
export function reviewOutputGuard({ addresses }: OutputGuardIntent): { property: string; reason: string }[] {
  return addresses.flatMap((text, index) => {
    if (addresses.indexOf(text) < index) return [{ property: `addresses[${index}]`, reason: "stands there twice" }];
    if (/^(127\.|::1(\/|$))/.test(text))
      return [{ property: `addresses[${index}]`, reason: "is this host itself, and what stays on the host is not guarded" }];
    return [];
  });
}
