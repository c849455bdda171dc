import { z } from "zod";
import { madeOfFragments } from "../../dist/providers/netfilter";
import { kinds } from "../../dist/providers/registry";
import { defineKind } from "../../dist/providers/spec";
import type { Match } from "../../src/core/netfilter/matches";
import type { Fragment } from "../../src/core/netfilter/model";
import type { PortRange } from "../../src/core/values/ports";

/** What the gate of these tests judges; the rest of the host is free, SSH too. */
const PORTS: PortRange = [7000, 7009];
const JUDGED: Match = { is: "destination-ports", protocol: "tcp", ports: PORTS };

/**
 * A kind for what fragments can do and no kind of the package uses yet: phases, sets of several givers, sets that nobody declares,
 * helpers, what only opens, and what is done where a table does not load.
 */
const schema = z.object({
  part: z.enum(["gate", "allow", "deny", "set", "giver", "helper"]),
  set: z.string().default("office"),
  elements: z.array(z.string()).default([]),
  flags: z.array(z.enum(["interval"])).default(["interval"]),
});

function compile(object: string, { part, set, elements, flags }: z.infer<typeof schema>): Fragment[] {
  const layer = "ip";
  const given = elements.map((element) => ({ set, element }));
  const inSet = (whenMissing: "none" | "all"): Match => ({ is: "in-set", side: "source", version: 4, set, whenMissing });
  switch (part) {
    case "gate":
      return [
        {
          layer,
          attachments: [
            { to: "drop.input", key: "final", chain: `${object}.final` },
            { to: "drop.input", key: "established", chain: `${object}.open` },
          ],
          chains: [
            {
              name: `${object}.open`,
              rules: [{ id: "10 pass open", matches: [{ is: "connection", state: "open" }], verdict: { is: "accept" } }],
            },
            {
              name: `${object}.final`,
              rules: [{ id: "90 drop", matches: [JUDGED], counter: `${object}.drop`, verdict: { is: "drop" } }],
            },
          ],
          failClosed: [
            { hook: "input", verdict: "pass", matches: [{ is: "loopback", direction: "in" }] },
            { hook: "input", verdict: "drop-the-rest", matches: [JUDGED] },
          ],
        },
      ];
    case "allow":
    case "deny": {
      const [whenMissing, verdict, key] =
        part === "allow" ? (["none", "accept", "host"] as const) : (["all", "drop", "deny"] as const);
      return [
        {
          layer,
          attachments: [{ to: "drop.input", key, chain: object }],
          chains: [
            { name: object, rules: [{ id: `10 ${part}`, matches: [inSet(whenMissing), JUDGED], verdict: { is: verdict } }] },
          ],
          opens: part === "allow",
          // In words without a set: that may be what did not load.
          ...(part === "deny" ? { failClosed: [{ hook: "input", verdict: "drop", matches: [JUDGED] }] } : {}),
        },
      ];
    }
    case "set":
      return [
        {
          layer,
          attachments: [],
          chains: [],
          sets: [{ name: set, type: { is: "type", text: "ipv4_addr" }, flags, what: "an office" }],
          elements: given,
        },
      ];
    case "giver":
      return [{ layer, attachments: [], chains: [], elements: given }];
    case "helper":
      return [
        {
          layer,
          attachments: [],
          chains: [],
          helpers: [{ name: `${object}.tftp`, helper: "tftp", protocol: "udp" }],
          opens: true,
        },
      ];
  }
}

/** Makes the kind known to this process, as `TestGate`. */
export function defineTestGate(): void {
  const kind = defineKind(schema, { kind: "TestGate", ...madeOfFragments(["ip"], compile), review: () => [], refuse: () => [] });
  if (!(kinds instanceof Map)) throw new Error("the registry is no Map any more");
  kinds.set(kind.kind, kind);
}
