import type { Flow, HostFacts } from "../files/snapshot";
import { parseAddress, type Prefix, versionOf } from "../values/prefix";
import { type Compiled, judge } from "./judge";
import type { Packet } from "./packet";
import type { Hook, Traffic } from "./traffic";
import { compileTraffic } from "./traffic-rules";

/** As many as are named; the rest are counted. */
const MOST_NAMED = 5;

/**
 * Which connections go on although the entry that fits them has ended; nothing where there are none, and where it cuts them. What fits is told by protocol, addresses and ports: by which
 * interface a connection has come, and whose it is, nobody knows any more.
 */
export function outliving(
  hook: Hook,
  traffic: Traffic,
  { flows, links }: Pick<HostFacts, "flows" | "links">,
): string | undefined {
  if (flows === undefined || traffic.running === "cut") return undefined;
  if (flows === "unknown")
    return "whether what it has let open goes on cannot be known, for the host has neither /proc/net/nf_conntrack nor the program conntrack";
  const own = [...links.values()].flatMap(({ addresses }) => addresses.flatMap(addressOf));
  const isOwn = (address: Prefix) => own.some(({ bits, base }) => bits === address.bits && base === address.base);
  const rules = rulesOf(hook, traffic);
  const fitting = flows.running.filter((flow) => {
    const packet = packetOf(hook, flow, isOwn);
    return packet !== undefined && judge(rules, packet, "unknown").verdict !== "drop";
  });
  if (fitting.length === 0) return undefined;
  const more = fitting.length - MOST_NAMED;
  const named = fitting.slice(0, MOST_NAMED).map(textOf).join(", ");
  return `what it has let open goes on: ${named}${more > 0 ? ` and ${more} more` : ""}${flows.isCut ? ", of the first that the host follows" : ""}`;
}

/** The entry as it was before its end, in front of nothing else. */
function rulesOf(hook: Hook, { protocol, service, ports, sourcePorts, icmpTypes, from, to }: Traffic): Compiled[] {
  const object = "entry";
  const { rules, sets, elements } = compileTraffic(
    { protocol, service, ports, sourcePorts, icmpTypes, from, to, log: false },
    { is: "accept" },
    { object, hook, id: "allow", number: "20", decision: "" },
  );
  const slot = `drop.${hook}` as const;
  return [
    {
      object,
      fragments: [
        {
          layer: "ip",
          attachments: [
            { to: slot, key: "host", chain: "entry" },
            { to: slot, key: "final", chain: "rest" },
          ],
          chains: [
            { name: "entry", rules },
            { name: "rest", rules: [{ id: "rest", matches: [], verdict: { is: "drop" } }] },
          ],
          sets,
          elements,
        },
      ],
    },
  ];
}

/** The first packet of a connection, as the hook has seen it; nothing where it is not the hook's. */
function packetOf(
  hook: Hook,
  { protocol, source, destination, sourcePort, destinationPort }: Flow,
  isOwn: (address: Prefix) => boolean,
): Packet | undefined {
  const [from] = addressOf(source);
  const [to] = addressOf(destination);
  if (from === undefined || to === undefined) return undefined;
  const seenBy: Hook = isOwn(from) ? "output" : isOwn(to) ? "input" : "forward";
  if (hook !== seenBy) return undefined;
  return {
    hook,
    version: versionOf(from),
    protocol: PROTOCOLS.find((one) => one === protocol) ?? "other",
    source: from,
    destination: to,
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(destinationPort === undefined ? {} : { destinationPort }),
    laterFragment: false,
    connection: "new",
  };
}

const PROTOCOLS = ["tcp", "udp", "icmp", "icmpv6", "esp", "ah"] as const;

function addressOf(text: string): Prefix[] {
  const parsed = parseAddress(text);
  return parsed === undefined ? [] : [parsed];
}

/** "tcp 203.0.113.7:50000 to 192.0.2.1:443" */
function textOf({ protocol, source, destination, sourcePort, destinationPort }: Flow): string {
  const end = (address: string, port: number | undefined) => {
    const text = parseAddress(address)?.text ?? address;
    return port === undefined ? text : text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
  };
  return `${protocol} ${end(source, sourcePort)} to ${end(destination, destinationPort)}`;
}
