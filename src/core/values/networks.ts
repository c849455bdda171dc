import { z } from "zod";
import { aggregate, parsePrefix, type Prefix } from "./prefix";

/**
 * Named lists of networks. Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), all
 * blocks that are not globally reachable; the RFC of each stands beside it.
 */
const PRESETS = {
  /** Private use, RFC 1918. */
  rfc1918: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
  /** Unique local, RFC 4193. */
  ula: ["fc00::/7"],
  /** Shared address space behind carrier-grade NAT, RFC 6598. */
  cgnat: ["100.64.0.0/10"],
  /** Link local, RFC 3927 and RFC 4291. Neighbour discovery and DHCP pass all the same. */
  linklocal: ["169.254.0.0/16", "fe80::/10"],
  /** "This network", RFC 791, and the unspecified address, RFC 4291. */
  unspecified: ["0.0.0.0/8", "::/128"],
  /** Loopback, RFC 1122 and RFC 4291. */
  loopback: ["127.0.0.0/8", "::1/128"],
  /** Documentation, RFC 5737, RFC 3849 and RFC 9637. */
  documentation: ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"],
  /** Benchmarking, RFC 2544 and RFC 5180. */
  benchmarking: ["198.18.0.0/15", "2001:2::/48"],
  /** Protocol assignments that are not globally reachable, RFC 6890, RFC 7335, RFC 8155, RFC 8215, RFC 6666, RFC 9602. */
  protocol: ["192.0.0.0/29", "192.0.0.8/32", "192.0.0.170/31", "64:ff9b:1::/48", "100::/64", "5f00::/16"],
  /** Reserved, RFC 1112, and the limited broadcast, RFC 8190. */
  reserved: ["240.0.0.0/4"],
} as const;

type PresetName = keyof typeof PRESETS;
/** What `networks` understands beside prefixes; `special-purpose` is all of them. */
export type NetworkPreset = PresetName | "special-purpose";

const isPreset = (text: string): text is PresetName => Object.hasOwn(PRESETS, text);

function prefixesOf(text: string): readonly string[] {
  if (text === "special-purpose") return Object.values(PRESETS).flat();
  return isPreset(text) ? PRESETS[text] : [text];
}

/** Presets and prefixes, kept as they were written. */
export const networkList = z
  .array(z.string())
  .min(1, "must name at least one network")
  .superRefine((texts, context) => {
    texts.forEach((text, index) => {
      for (const part of prefixesOf(text)) {
        const parsed = parsePrefix(part);
        if (typeof parsed !== "string") continue;
        const message = `${parsed}; presets are ${[...Object.keys(PRESETS), "special-purpose"].join(", ")}`;
        context.addIssue({ code: "custom", message, path: [index] });
      }
    });
  });

/** The prefixes that a valid {@link networkList} stands for, aggregated and sorted. */
export function expandNetworks(texts: readonly string[]): Prefix[] {
  return aggregate(texts.flatMap(prefixesOf).flatMap((text) => parsedOrNone(text)));
}

function parsedOrNone(text: string): Prefix[] {
  const parsed = parsePrefix(text);
  return typeof parsed === "string" ? [] : [parsed];
}
