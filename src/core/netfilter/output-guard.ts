import { z } from "zod";
import { formatPrefix, parsePrefix, prefixText, type Prefix } from "../values/prefix";
import { formatPorts, joinPorts, port } from "../values/ports";
import { leakChain, toLeak } from "./fence";
import type { Fragment, Match, Rule } from "./model";

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
  const { root, openConnections } = intent;
  const guarded = guardedBy(intent);
  const asked = `${object}.asked`;
  const counted = { counter: `${object}.denied`, verdict: toLeak(object) };
  const rules: Rule[] = [
    { id: "30 pass answers", matches: [{ is: "connection", state: "answer" }], verdict: { is: "return" } },
    ...(openConnections === "keep"
      ? [{ id: "31 pass open connections", matches: [{ is: "connection", state: "open" }], verdict: { is: "return" } } as const]
      : []),
    { id: "40 ask the user's rules", matches: [], verdict: { is: "ask", map: "users" } },
    { id: "41 ask the group's rules", matches: [], verdict: { is: "ask", map: "groups" } },
    ...(root === "pass" ? [{ id: "42 pass root", matches: [{ is: "owned", uid: 0 }], verdict: { is: "return" } } as const] : []),
    { id: "50 deny new connections", matches: [{ is: "connection", state: "new" }], ...counted },
    // The kernel's own last words for a connection have no owner any more.
    ...(openConnections === "cut"
      ? [{ id: "51 deny all else that somebody sends", matches: [{ is: "owned" }], ...counted } as const]
      : []),
  ];
  return [
    {
      layer: "ip",
      attachments: [{ to: "output", chain: object }],
      chains: [
        {
          name: object,
          rules: [
            { id: "10 pass what stays on the host", matches: [{ is: "loopback", direction: "out" }], verdict: { is: "return" } },
            ...guarded.map(({ text, matches }): Rule => ({
              id: `20 guard ${text}`,
              matches,
              verdict: { is: "goto", chain: asked },
            })),
          ],
        },
        { name: asked, rules },
        leakChain(object, intent.mode, { owner: true }),
      ],
      shut: guarded.map(({ matches }) => ({ hook: "output", matches: [...matches, { is: "owned", notUid: 0 }] })),
    },
  ];
}

function guardedBy({ ports, protocol, addresses }: OutputGuardIntent): { text: string; matches: Match[] }[] {
  const prefixes = addresses.flatMap((text): Prefix[] => {
    const parsed = parsePrefix(text);
    return typeof parsed === "string" ? [] : [parsed];
  });
  return joinPorts(ports).flatMap((range) => {
    const there: Match = { is: "destination-ports", protocol, ports: range };
    const text = `${protocol} ${formatPorts(range)}`;
    if (prefixes.length === 0) return [{ text, matches: [there] }];
    return prefixes.map((prefix) => ({
      text: `${text} on ${formatPrefix(prefix)}`,
      matches: [{ is: "destination", prefixes: [prefix] } as const, there],
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
