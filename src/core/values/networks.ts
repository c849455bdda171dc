import { z } from "zod";
import { aggregate, parsePrefix, type Prefix } from "./prefix";

/**
 * Named lists of networks. Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), all
 * blocks that are not globally reachable; the RFC of each stands beside it. docs/presets.md shows the registries, their date and
 * what is left out, and a test compares.
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
  /**
   * Protocol assignments that are not globally reachable: 192.0.0.0/24 but for two addresses (RFC 6890, 7723, 8155), 6a44 (RFC 6751),
   * IPv4-mapped (RFC 4291), local translation (RFC 8215), discard (RFC 6666) and dummy (RFC 9780) prefixes, 2001::/23 (RFC 2928) but for
   * what is reachable in it, segment routing (RFC 9602).
   */
  protocol: [
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.11/32",
    "192.0.0.12/30",
    "192.0.0.16/28",
    "192.0.0.32/27",
    "192.0.0.64/26",
    "192.0.0.128/25",
    "192.88.99.2/32",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001:2::/32",
    "2001:5::/32",
    "2001:6::/31",
    "2001:8::/29",
    "2001:10::/28",
    "2001:40::/26",
    "2001:80::/25",
    "2001:100::/24",
    "5f00::/16",
  ],
  /** Private and shared IPv4 addresses inside global prefixes, where no address may stand that is not global: RFC 6052, 3.1; RFC 3056, 2. */
  embedded: [
    "64:ff9b::a00:0/104",
    "64:ff9b::6440:0/106",
    "64:ff9b::ac10:0/108",
    "64:ff9b::c0a8:0/112",
    "2002:a00::/24",
    "2002:6440::/26",
    "2002:ac10::/28",
    "2002:c0a8::/32",
  ],
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

/** The prefixes of a list that stand in it as a part of a preset, to the name of that. */
export function presetsOf(texts: readonly string[]): ReadonlyMap<string, NetworkPreset> {
  const named = texts.includes("special-purpose") ? Object.keys(PRESETS).filter(isPreset) : texts.filter(isPreset);
  return new Map(named.flatMap((name) => PRESETS[name].flatMap(parsedOrNone).map(({ text }) => [text, name] as const)));
}

function parsedOrNone(text: string): Prefix[] {
  const parsed = parsePrefix(text);
  return typeof parsed === "string" ? [] : [parsed];
}
