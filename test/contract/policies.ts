import fc from "fast-check";

/** Random default drops, as a program would write them: which ports, from where, by which interface. */

/** What a policy never names: where the one who applies it comes from. Lab hosts are reached from 198.18.0.0/16. */
export const APPLIED_FROM = "198.18.0.0/16";

const elsewhere = fc.oneof(
  fc.integer({ min: 0, max: 255 }).map((last) => `192.0.2.${last}`),
  fc.integer({ min: 0, max: 15 }).map((block) => `203.0.113.${block * 16}/28`),
  fc.integer({ min: 1, max: 0xffff }).map((net) => `2001:db8:${net.toString(16)}::/48`),
);
const addresses = fc.array(elsewhere, { minLength: 1, maxLength: 4 });
/** Ports that no administrator comes in by. */
const port = fc.integer({ min: 1024, max: 65535 });
const ports = fc.array(
  fc.oneof(
    port,
    fc.tuple(port, fc.integer({ min: 1, max: 100 })).map(([first, more]) => `${first}-${Math.min(65535, first + more)}`),
  ),
  { minLength: 1, maxLength: 4 },
);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

const entry = fc.oneof(
  fc.record({ protocol: fc.constantFrom("tcp", "udp"), ports, from: optional(addresses), log: fc.boolean() }),
  fc.record({ service: fc.constantFrom("http", "https", "dns", "ntp"), from: optional(addresses) }),
  fc.record({ protocol: fc.constantFrom("esp", "ah"), from: addresses }),
);
const basics = fc.record({ echo: fc.boolean(), dhcpClient: fc.boolean() });

const policyOf = (management: fc.Arbitrary<readonly string[]>) =>
  fc.record({
    hook: fc.constant("input"),
    management: management.map((sources) => ({ sources })),
    allow: fc.array(entry, { maxLength: 6 }),
    basics,
    established: fc.boolean(),
    final: fc.constantFrom("drop", "reject"),
  });

/** They let in who applies them. */
export const harmless = policyOf(addresses.map((others) => [...others, APPLIED_FROM]));

/** They let in others only. */
export const lockingOut = policyOf(addresses);
