import { parseAddress, type Prefix, versionOf } from "../values/prefix";
import type { Packet } from "./packet";
import { type Hook, HOOKS } from "./traffic";

/** What rules of ours write to the kernel's log, and how it is read again. */

/** What a line begins with, at most 86 of the 127 characters that nft has; with the hook where the line is about what nobody allows there. */
export const logPrefix = (object: string, hook?: Hook): string => `drawbridge ${[object, hook].filter(Boolean).join(" ")}: `;

/** A line of the kernel's log, as journalctl or dmesg print it. */
export interface LoggedLine {
  /** Whose rule has written it. */
  readonly object: string;
  readonly hook: Hook | undefined;
  /** What the kernel says of the packet. */
  readonly said: string;
}

/**
 * Of a line that one of our rules has written; `undefined` for every other one. The prefix must be the first that the kernel says: further back, it may be a
 * word of any local user, whose mount options, for example, the kernel repeats when it does not know them.
 */
export function readLoggedLine(line: string): LoggedLine | undefined {
  const [, object = "", hook, said = ""] = LINE.exec(line) ?? [];
  return object === "" ? undefined : { object, hook: HOOKS.find((one) => one === hook), said };
}

// "2026-11-30T15:36:13+00:00 gw1 kernel: …", "[   12.345678] …", with CONFIG_PRINTK_CALLER "[   12.345678][  T123] …", or nothing before it.
const LINE =
  /^(?:\S+ \S+ kernel: |\[ *\d+\.\d+\](?:\[ *[A-Z]\d+\])? )?drawbridge ([A-Za-z0-9_-]{1,64})(?: (input|forward|output))?: (.*)$/;

/** A packet that was logged. */
export interface LoggedPacket {
  readonly packet: Packet & { readonly source: Prefix; readonly destination: Prefix };
  /** As the kernel calls it: "TCP", "2" for IGMP. */
  readonly protocol: string;
}

/** The packet that a line is about; `undefined` where the line is cut off, or not the kernel's. */
export function readLoggedPacket(hook: Hook, said: string): LoggedPacket | undefined {
  // An ICMP error quotes the packet that it is about in brackets.
  const words = (said.split(" [")[0] ?? "").split(" ");
  const values = new Map(words.flatMap((word) => (/^[A-Z]+=/.test(word) ? [pairOf(word)] : [])));
  const [source, destination] = [parseAddress(values.get("SRC") ?? ""), parseAddress(values.get("DST") ?? "")];
  const protocol = values.get("PROTO") ?? "";
  if (source === undefined || destination === undefined || source.bits !== destination.bits) return undefined;
  if (!/^[A-Za-z0-9]{1,10}$/.test(protocol)) return undefined;
  const known = PROTOCOLS.get(protocol) ?? "other";
  const number = (name: string) => (/^\d{1,5}$/.test(values.get(name) ?? "") ? Number(values.get(name)) : undefined);
  const [sourcePort, destinationPort, icmpType] = [number("SPT"), number("DPT"), number("TYPE")];
  const device = (name: "IN" | "OUT") => (values.get(name) === "" ? undefined : values.get(name));
  const [came, goes] = [device("IN"), device("OUT")];
  return {
    protocol,
    packet: {
      hook,
      version: versionOf(source),
      protocol: known,
      source,
      destination,
      ...(sourcePort === undefined ? {} : { sourcePort }),
      ...(destinationPort === undefined ? {} : { destinationPort }),
      ...(icmpType === undefined ? {} : { icmpType }),
      // Of IPv6, the first one has it too, with 0.
      laterFragment: words.some((word) => /^FRAG:[1-9]\d{0,4}$/.test(word)),
      ...(came === undefined ? {} : { in: came }),
      ...(goes === undefined ? {} : { out: goes }),
      ...(known === "tcp" ? { tcp: words.includes("SYN") && !words.includes("ACK") ? "opening" : "later" } : {}),
    },
  };
}

// A map, in which a host finds nothing but what stands here.
const PROTOCOLS: ReadonlyMap<string, NonNullable<Packet["protocol"]>> = new Map([
  ["TCP", "tcp"],
  ["UDP", "udp"],
  ["ICMP", "icmp"],
  ["ICMPv6", "icmpv6"],
  ["ESP", "esp"],
  ["AH", "ah"],
]);

function pairOf(word: string): readonly [string, string] {
  const end = word.indexOf("=");
  return [word.slice(0, end), word.slice(end + 1)];
}
