import type { HostFacts } from "../files/snapshot";

/** Not one that every interface has by itself. */
export const isGlobal = (address: string): boolean => !address.startsWith("fe80:");

/** Why a device of this host cannot be a port of `bridge`, or must not; its addresses are no reason where they move. */
export function refusePort(
  property: string,
  device: string,
  bridge: string,
  { links }: HostFacts,
  moves = false,
): { property: string; reason: string }[] {
  const link = links.get(device);
  const refused = (reason: string) => [{ property, reason }];
  if (links.get(bridge)?.isBridge === false)
    return [{ property: property === "uplink" ? "name" : "bridge", reason: `${bridge} is no bridge` }];
  if (device === "lo") return refused("lo cannot be a port of a bridge");
  // What is still to come is waited for.
  if (!link || link.master === bridge) return [];
  if (link.isBridge) return refused(`${device} is a bridge itself, and a bridge cannot be a port of another one`);
  const addresses = link.addresses.filter(isGlobal);
  if (moves || addresses.length === 0) return [];
  const wayOut =
    property === "uplink"
      ? "`moveAddresses: true` moves it to the bridge"
      : `take it from ${device} first, and give it to the bridge if the host needs it`;
  return refused(
    `${device} has the address ${addresses.join(", ")}, which would no longer work in a bridge, and neither would a connection that comes by it; ${wayOut}`,
  );
}
