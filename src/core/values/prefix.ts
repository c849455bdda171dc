import { z } from "zod";

/**
 * An IPv4 or IPv6 prefix in the one form the kernel would print: host bits cleared, IPv6 compressed (RFC 5952).
 * `bits` is 32 or 128, `length` is 0 to `bits`, `base` the first address as a number.
 */
export interface Prefix {
  readonly bits: 32 | 128;
  readonly base: bigint;
  readonly length: number;
  /** "10.0.0.0/8"; a single address without its length, as nft prints it. */
  readonly text: string;
}

/** The network of this length that an address lies in. */
export function prefixOf({ bits, base }: Pick<Prefix, "bits" | "base">, length: number): Prefix {
  return withText(bits, networkBase(bits, base, length), length);
}

function withText(bits: Prefix["bits"], base: bigint, length: number, address = formatAddress(bits, base)): Prefix {
  return { bits, base, length, text: length === bits ? address : `${address}/${length}` };
}

function networkBase(bits: Prefix["bits"], base: bigint, length: number): bigint {
  const hostBits = BigInt(bits - length);
  return (base >> hostBits) << hostBits;
}

/** "10.0.0.0/8", "fd00::/8", or a single address without a length. Host bits must be clear: a typing error is not guessed away. */
export const prefixText = z.string().superRefine((text, context) => {
  const parsed = parsePrefix(text);
  if (typeof parsed === "string") context.addIssue({ code: "custom", message: parsed });
});

// A list may be very long, and is read once by check, once more by what it is made into. When the first of these is full, it becomes the second.
let parsed = new Map<string, Prefix | string>();
let parsedBefore = parsed;
const MOST_PARSED = 100_000;

/** The prefix, or the reason why `text` is none. */
export function parsePrefix(text: string): Prefix | string {
  const known = parsed.get(text) ?? parsedBefore.get(text);
  if (known !== undefined) return known;
  if (parsed.size >= MOST_PARSED) [parsedBefore, parsed] = [parsed, new Map<string, Prefix | string>()];
  const prefix = readPrefix(text);
  parsed.set(text, prefix);
  return prefix;
}

function readPrefix(text: string): Prefix | string {
  const [address = "", lengthText, ...rest] = text.split("/");
  const read = parseAddress(address);
  if (read === undefined || rest.length > 0) {
    return `${JSON.stringify(text.slice(0, 60))} is neither an IPv4 nor an IPv6 prefix; write it like "10.0.0.0/8" or "fd00::/8"`;
  }
  const { bits, base } = read;
  if (lengthText !== undefined && (!/^(0|[1-9]\d{0,2})$/.test(lengthText) || Number(lengthText) > bits)) {
    return `the length of ${JSON.stringify(text.slice(0, 60))} must be a number from 0 to ${bits}`;
  }
  const length = lengthText === undefined ? bits : Number(lengthText);
  if (networkBase(bits, base, length) === base) return withText(bits, base, length, read.text);
  return `${JSON.stringify(text)} has host bits set; did you mean "${prefixOf(read, length).text}"?`;
}

/** A single address, `undefined` when `text` is none. IPv6 zones ("fe80::1%eth0") are refused. */
export function parseAddress(text: string): Prefix | undefined {
  if (z.regexes.ipv4.test(text)) {
    // In numbers, which take a tenth of the time: lists may be very long.
    return withText(32, BigInt(text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)), 32, text);
  }
  if (!text.includes(":") || !ipv6.safeParse(text).success) return undefined;
  const canonical = compress(text);
  const [head = "", tail] = canonical.split("::");
  const words = (half: string | undefined) => (half ? half.split(":") : []);
  const gap = 8 - words(head).length - words(tail).length;
  const all = [...words(head), ...Array<string>(tail === undefined ? 0 : gap).fill("0"), ...words(tail)];
  return withText(128, BigInt(`0x${all.map((word) => word.padStart(4, "0")).join("")}`), 128, canonical);
}

// Made once: it is asked of every address of a long list.
const ipv6 = z.ipv6();

/** An address with the length of its network, "10.0.0.1/24": what an interface has. */
export const interfaceAddress = z.string().superRefine((text, context) => {
  const { parsed, length } = splitInterfaceAddress(text);
  const say = (message: string) => context.addIssue({ code: "custom", message });
  if (!parsed) return say(`${JSON.stringify(text.slice(0, 60))} is no address; write it like "10.0.0.1/24" or "fd00::1/64"`);
  if (length === undefined) return say(`${JSON.stringify(text)} lacks the length of its network, like "/24"`);
  if (!(length >= 1 && length <= parsed.bits)) return say(`the length of ${JSON.stringify(text)} must be 1 to ${parsed.bits}`);
  const { base } = networkOf(text);
  if (base === parsed.base && length < parsed.bits - 1)
    say(`${JSON.stringify(text)} is the network itself, not an address in it`);
});

/** A single address of one IP version, without a length. */
export function singleAddress(version: 4 | 6) {
  return z
    .string()
    .refine(
      (text) => parseAddress(text)?.bits === (version === 4 ? 32 : 128),
      `must be an IPv${version} address without a length`,
    );
}

/** The network that an interface address lies in. */
export function networkOf(address: string): Prefix {
  const { parsed = { bits: 32, base: 0n } as const, length = parsed.bits } = splitInterfaceAddress(address);
  return prefixOf(parsed, length);
}

/** As the kernel prints it: IPv6 compressed. */
export function formatInterfaceAddress(address: string): string {
  const { parsed, length } = splitInterfaceAddress(address);
  return parsed ? `${parsed.text}/${length}` : address;
}

function splitInterfaceAddress(text: string) {
  const [, address = "", length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  return { parsed: parseAddress(address), length: length === undefined ? undefined : Number(length) };
}

/** Whether every address of `inner` lies in `outer`. */
export function contains(outer: Prefix, inner: Prefix): boolean {
  const { bits, base, length } = outer;
  return bits === inner.bits && length <= inner.length && networkBase(bits, inner.base, length) === base;
}

/**
 * The fewest prefixes that cover the same addresses, sorted: IPv4 before IPv6, then by address. Prefixes that lie in others
 * vanish and neighbours join, since nft's interval sets refuse overlaps.
 */
export function aggregate(prefixes: readonly Prefix[]): Prefix[] {
  const kept: Prefix[] = [];
  for (const next of [...prefixes].sort(comparePrefixes)) {
    const last = kept.at(-1);
    if (last && contains(last, next)) continue;
    kept.push(next);
    for (let joined = joinLastTwo(kept); joined; joined = joinLastTwo(kept)) kept.splice(-2, 2, joined);
  }
  return kept;
}

function joinLastTwo(sorted: readonly Prefix[]): Prefix | undefined {
  const [left, right] = sorted.slice(-2);
  if (!left || !right || left.bits !== right.bits || left.length !== right.length || left.length === 0) return undefined;
  const parent = prefixOf(left, left.length - 1);
  return contains(parent, right) && parent.base === left.base ? parent : undefined;
}

export type Version = 4 | 6;
export const VERSIONS: readonly Version[] = [4, 6];
export const versionOf = ({ bits }: Prefix): Version => (bits === 32 ? 4 : 6);

/** The prefixes of a valid list. */
export const prefixesOf = (texts: readonly string[]): Prefix[] =>
  texts.flatMap((text) => {
    const parsed = parsePrefix(text);
    return typeof parsed === "string" ? [] : [parsed];
  });

/** Without what lies in another one: the elements of a set may not overlap. */
export function outermost<One>(all: readonly One[], prefixOf: (one: One) => Prefix): One[] {
  const kept = new Set<One>();
  let last: Prefix | undefined;
  for (const one of all.toSorted((a, b) => comparePrefixes(prefixOf(a), prefixOf(b)))) {
    if (last && contains(last, prefixOf(one))) continue;
    kept.add(one);
    last = prefixOf(one);
  }
  return all.filter((one) => kept.has(one));
}

/** The first address of the network of this length that the address lies in. */
export function firstAddress({ bits, base }: Pick<Prefix, "bits" | "base">, length: number): Prefix {
  return withText(bits, networkBase(bits, base, length), bits);
}

/** IPv4 before IPv6, then by address; a prefix stands before all that lie in it. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.bits !== b.bits) return a.bits - b.bits;
  if (a.base !== b.base) return a.base < b.base ? -1 : 1;
  return a.length - b.length;
}

function formatAddress(bits: 32 | 128, base: bigint): string {
  if (bits === 32) {
    const number = Number(base);
    return `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;
  }
  const words = Array.from({ length: 8 }, (_, index) => ((base >> BigInt(112 - 16 * index)) & 65535n).toString(16));
  return compress(words.join(":"));
}

// The URL standard's host serializer is RFC 5952's compression, and Node carries it.
function compress(ipv6: string): string {
  return new URL(`http://[${ipv6}]`).hostname.slice(1, -1);
}
