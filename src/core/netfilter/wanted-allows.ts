import { z } from "zod";
import { comparePrefixes, type Prefix } from "../values/prefix";
import { compileDefaultDrop, type DefaultDropIntent } from "./default-drop";
import { type Compiled, judge } from "./judge";
import { type LoggedPacket, readLoggedLine, readLoggedPacket } from "./kernel-log";
import type { Fragment } from "./model";
import { type Hook, trafficShape } from "./traffic";

/** What a default drop has logged, by what an entry of `allow` would have to say to let it pass. */

/** Packets that one entry lets pass, or that none does; times is how many of them were logged. */
export type Wanted =
  { readonly times: number; readonly allow: Entry } | { readonly times: number; readonly packets: string; readonly why: string };

/** An entry of `allow`, in the order in which it is written. */
interface Entry {
  readonly protocol: NonNullable<LoggedPacket["packet"]["protocol"]>;
  readonly ports?: readonly number[];
  readonly sourcePorts?: readonly number[];
  readonly icmpTypes?: readonly number[];
  readonly from?: readonly string[];
  readonly to?: readonly string[];
  readonly in?: string;
  readonly out?: string;
  readonly inPort?: string;
  readonly outPort?: string;
}

/**
 * The most frequent first. Where they differ only by the address of whoever is on the other side, they are one entry. What passes today has been allowed since, and is left
 * out.
 * @param log lines of the kernel's log, of whatever object
 * @param beside other resources of the host, as far as they are known; what only opens counts, and the sets that it names
 */
export function wantedAllows(
  object: string,
  intent: DefaultDropIntent,
  log: readonly string[],
  beside: readonly Compiled[] = [],
): Wanted[] {
  // A rehearsal lets everything pass in the end.
  const own: Compiled = { object, fragments: compileDefaultDrop(object, { ...intent, bridge: undefined, mode: "drop" }) };
  const resources = [own, ...beside.filter(({ fragments }) => fragments.every(opensOrDeclares))];
  const groups = new Map<string, Group>();
  for (const line of log) {
    const logged = readLoggedLine(line);
    if (logged?.object !== object || logged.hook !== intent.hook) continue;
    const found = readLoggedPacket(logged.hook, logged.said);
    if (!found || judge(resources, { ...found.packet, connection: "new" }, "unknown").verdict === "accept") continue;
    const { peer, ...said } = describe(found, intent);
    const key = JSON.stringify(said);
    const group = groups.get(key) ?? { ...said, peers: new Map<string, Prefix>(), times: 0 };
    group.peers.set(peer.text, peer);
    groups.set(key, { ...group, times: group.times + 1 });
  }
  return [...groups.values()].map((group) => wantedOf(intent.hook, group)).toSorted(byTimes);
}

const opensOrDeclares = ({ opens = false, attachments }: Fragment) => opens || attachments.length === 0;

/** All that packets of one entry have in common, and whom they come from, or go to. */
interface Group extends Described {
  readonly peers: Map<string, Prefix>;
  readonly times: number;
}

interface Described {
  readonly entry: Entry;
  /** What the packets are, and why no entry is to let them pass. */
  readonly no?: { readonly packets: string; readonly why: string };
}

function describe(logged: LoggedPacket, { hook, bridge, established }: DefaultDropIntent): Described & { readonly peer: Prefix } {
  const { packet, protocol } = logged;
  const { protocol: known = "other", source, destination, sourcePort, destinationPort, icmpType } = packet;
  const isAnswer = looksLikeAnswer(logged);
  const port = isAnswer ? sourcePort : destinationPort;
  const entry: Entry = {
    protocol: known,
    ...(port === undefined ? {} : isAnswer ? { sourcePorts: [port] } : { ports: [port] }),
    ...(icmpType === undefined ? {} : { icmpTypes: [icmpType] }),
    ...(hook === "forward" ? { to: [destination.text] } : {}),
    ...(packet.in === undefined ? {} : { [bridge === undefined ? "in" : "inPort"]: packet.in }),
    ...(packet.out === undefined ? {} : { [bridge === undefined ? "out" : "outPort"]: packet.out }),
  };
  const peer = hook === "output" ? destination : source;
  const no = (packets: string, why: string) => ({ entry, peer, no: { packets, why } });
  if (known === "other") return no(`protocol ${protocol}`, "no entry can name it");
  if ((known === "tcp" || known === "udp") && port === undefined)
    return no(
      `later fragments of ${known}`,
      "they have no ports that an entry could name, unless it says `from` and `fragments: true`",
    );
  if (!z.object(trafficShape).safeParse(entry).success) return no(known, "no entry can name its interface or port");
  if (isAnswer && established)
    return no(
      `${known} from port ${port ?? ""}`,
      "they look like answers of connections that this host does not know any more; whoever sends from that port would pass an entry by it",
    );
  return { entry, peer };
}

/** Its source is the service, as far as one packet can tell. */
function looksLikeAnswer({ packet: { protocol, tcp, sourcePort, destinationPort } }: LoggedPacket): boolean {
  if (sourcePort === undefined || destinationPort === undefined) return false;
  if (protocol === "tcp") return tcp === "later" && sourcePort < destinationPort;
  return sourcePort < LEAST_OWN_PORT && destinationPort >= LEAST_OWN_PORT;
}

/** Below it, only root listens. */
const LEAST_OWN_PORT = 1024;

function wantedOf(hook: Hook, { entry, no, peers, times }: Group): Wanted {
  const addresses = [...peers].toSorted(([, a], [, b]) => comparePrefixes(a, b)).map(([text]) => text);
  const { to, in: came, out: goes, inPort, outPort, ...what } = entry;
  const way = {
    ...(hook === "output" ? { to: addresses } : { from: addresses }),
    ...(to === undefined ? {} : { to }),
    ...(came === undefined ? {} : { in: came }),
    ...(goes === undefined ? {} : { out: goes }),
    ...(inPort === undefined ? {} : { inPort }),
    ...(outPort === undefined ? {} : { outPort }),
  };
  if (!no) return { times, allow: { ...what, ...way } };
  const words = Object.entries(way).map(([name, value]) => `${name} ${[value].flat().join(", ")}`);
  return { times, packets: [no.packets, ...words].join(" "), why: no.why };
}

const byTimes = (a: Wanted, b: Wanted) => b.times - a.times || textOf(a).localeCompare(textOf(b), "en", { numeric: true });
const textOf = (wanted: Wanted) => ("allow" in wanted ? textOfEntry(wanted.allow) : wanted.packets);

/** One line for each, as it can stand in the list `allow` of a program: what no entry lets pass is a comment. */
export function renderWanted(wanted: Wanted): string {
  const times = wanted.times === 1 ? "once" : `${wanted.times} times`;
  return "allow" in wanted ? `${textOfEntry(wanted.allow)}, // ${times}` : `// ${times} ${wanted.packets}: ${wanted.why}`;
}

function textOfEntry(entry: Entry): string {
  const members = Object.entries(entry).map(
    ([name, value]) =>
      `${name}: ${Array.isArray(value) ? `[${value.map((one) => JSON.stringify(one)).join(", ")}]` : JSON.stringify(value)}`,
  );
  return `{ ${members.join(", ")} }`;
}
