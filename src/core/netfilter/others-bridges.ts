import type { HostFacts } from "../files/snapshot";
import type { DefaultDropIntent } from "./default-drop";

/** Bridges that programs of others make, by the names that they give them, and what is behind them. */
const OTHERS = [
  {
    whose: "Docker",
    // Networks without a name of their own for the bridge have the beginning of their id; of a swarm there is one more.
    bridge: /^(?:docker0|docker_gwbridge|br-[0-9a-f]{12})$/,
    loses: "containers there open no connection to another network, and nobody reaches a published port",
  },
  {
    whose: "libvirt",
    bridge: /^virbr\d+$/,
    loses: "guests there open no connection to another network, and no other network reaches them",
  },
] as const;

/**
 * What a default drop on forward takes from whatever is behind bridges of Docker and libvirt; one sentence for each of the two. No word of a bridge that an entry
 * of `allow` names, or an Allow of the same program, whose author knows of it; nor of a rehearsal, which drops nothing.
 * @param forwarded the interfaces that such Allows name
 */
export function warnOfBridges(
  { hook, bridge: own, mode, allow }: DefaultDropIntent,
  { links }: Pick<HostFacts, "links">,
  forwarded: ReadonlySet<string>,
): string[] {
  if (hook !== "forward" || own !== undefined || mode === "log") return [];
  const named = new Set([...allow.flatMap((entry) => [entry.in, entry.out]), ...forwarded]);
  const forgotten = [...links].flatMap(([name, { isBridge }]) => (isBridge && !named.has(name) ? [name] : []));
  return OTHERS.flatMap(({ whose, bridge, loses }) => {
    const own = forgotten.filter((name) => bridge.test(name)).sort();
    const [first] = own;
    if (first === undefined) return [];
    return `allow: does not name ${own.join(", ")}, which ${own.length === 1 ? "is a bridge" : "are bridges"} of ${whose}'s: ${loses}, whatever ${whose} lets pass. Unless an Allow opens that, add entries like { in: "${first}" } for what they may open, and { out: "${first}" } for what may reach them`;
  });
}
