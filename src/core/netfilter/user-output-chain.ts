import { z } from "zod";
import { accountName, interfaceName, printableText } from "../values/names";
import { formatPorts, joinPorts, port } from "../values/ports";
import { parsePrefix, type Prefix, prefixText } from "../values/prefix";
import { utcOffset, utcSpans, weeklyWindow } from "../values/weekly-window";
import type { Match } from "./matches";
import type { Fragment, Rule } from "./model";
import { needsOf } from "./traffic-rules";

// A chain carries the name, and nft's identifiers have no "$".
const account = accountName.refine((name) => !name.endsWith("$"), 'must not end with "$"');

/** UserOutputChain's own arguments; see the class for their meaning. */
export const userOutputChain = z.strictObject({
  user: account.optional(),
  group: account.optional(),
  allow: z
    .array(
      z.strictObject({
        to: prefixText,
        ports: z.array(port).min(1, "must name at least one port"),
        protocol: z.enum(["tcp", "udp"]).default("tcp"),
        from: prefixText.optional(),
        out: interfaceName.optional(),
        when: weeklyWindow.optional(),
        description: printableText(60).optional(),
      }),
    )
    .min(1, "must allow something"),
  utcOffset: utcOffset.default("+00:00"),
});
export type UserOutputChainIntent = z.infer<typeof userOutputChain>;

/** One rule for each range of ports and each part of a window; all of them accept, so that their order does not matter. */
export function compileUserOutputChain(object: string, intent: UserOutputChainIntent): Fragment[] {
  const { user, group, allow } = intent;
  const [to, key] = user === undefined ? (["groups", group ?? ""] as const) : (["users", user] as const);
  const rules = allow.flatMap((entry, index) => rulesOf(entry, String(index + 1).padStart(3, "0"), intent.utcOffset));
  return [
    {
      layer: "ip",
      attachments: [{ to, key, chain: object }],
      chains: [{ name: object, rules }],
      needs: needsOf(rules),
      opens: true,
    },
  ];
}

function rulesOf(entry: UserOutputChainIntent["allow"][number], number: string, offset: string): Rule[] {
  const [to, from] = [parsePrefix(entry.to), entry.from === undefined ? "" : parsePrefix(entry.from)];
  if (typeof to === "string") return [];
  const ways = joinPorts(entry.ports).flatMap((ports) => utcSpans(entry.when, offset).map((span) => ({ ports, span })));
  return ways.map(({ ports, span }, part): Rule => {
    const matches: Match[] = [
      { is: "destination", prefixes: [to] },
      ...sourceMatch(from),
      ...(entry.out === undefined ? [] : [{ is: "interface", direction: "out", name: entry.out } as const]),
      { is: "destination-ports", protocol: entry.protocol, ports },
      ...(Object.keys(span).length > 0 ? [{ is: "time", span } as const] : []),
    ];
    const suffix = ways.length > 1 ? `.${String(part + 1).padStart(2, "0")}` : "";
    return {
      id: `20 allow ${number}${suffix} ${entry.protocol} ${formatPorts(ports)} on ${to.text}`,
      ...(entry.description === undefined ? {} : { note: entry.description }),
      matches,
      verdict: { is: "accept" },
      decision: `allow ${number} ${entry.protocol} ${joinPorts(entry.ports).map(formatPorts).join(", ")} on ${to.text}`,
    };
  });
}

const sourceMatch = (from: Prefix | string): Match[] => (typeof from === "string" ? [] : [{ is: "source", prefixes: [from] }]);

/** What no single argument can tell. */
export function reviewUserOutputChain({ user, group, allow }: UserOutputChainIntent): { property: string; reason: string }[] {
  const whose =
    user !== undefined && group !== undefined
      ? [{ property: "group", reason: "give either `user` or `group`, and the other one a resource of its own" }]
      : user === undefined && group === undefined
        ? [{ property: "user", reason: "give the user, or a `group`, whose connections these are" }]
        : [];
  const entries = allow.flatMap(({ to, from, when }, index) => {
    const [far, near] = [parsePrefix(to), from === undefined ? "" : parsePrefix(from)];
    const mixed = typeof far !== "string" && typeof near !== "string" && far.bits !== near.bits;
    const { firstDate, lastDate } = when ?? {};
    return [
      ...(mixed ? [{ property: `allow[${index}].from`, reason: "is of another IP version than `to`; no packet has both" }] : []),
      ...(firstDate !== undefined && lastDate !== undefined && firstDate > lastDate
        ? [{ property: `allow[${index}].when.lastDate`, reason: "lies before firstDate" }]
        : []),
    ];
  });
  return [...whose, ...entries];
}

/** Whether a file is the fragment of an OutputGuard, which asks users' chains. */
export const isOfGuard = (path: string) => /-output-guard-[^/]*\.nft$/.test(path);
