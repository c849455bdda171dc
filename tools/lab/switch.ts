import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { execute } from "./process";

/** Where a host stands in the outside world. */
export interface Place {
  readonly number: number;
  readonly name: string;
  readonly folder: string;
  readonly address: string;
  readonly address6: string;
  /** the ethernet address of its network card */
  readonly mac: string;
  /** the port of the outside switch that the host is plugged into */
  readonly port: string;
}

/** The outside switch's own addresses, which hosts send everything else to. */
export const gateways = ["198.18.0.1", "2001:db8:77::1"] as const;

/** A place that no other host of this lab has. */
export function takePlace(folder: string, name?: string): Place {
  const number = takeNumber(folder);
  const digits = (byte: number) => byte.toString(16).padStart(2, "0");
  return {
    number,
    name: name ?? `host${number}`,
    folder: join(folder, "hosts", String(number)),
    address: `198.18.${number >> 8}.${number & 255}`,
    address6: `2001:db8:77::${number}`,
    mac: `02:db:00:01:${digits(number >> 8)}:${digits(number & 255)}`,
    port: `lab${number}`,
  };
}

/** Several processes may start hosts in one lab: a number is taken by whoever makes its folder. It is never given back, so no old ARP entry can mislead. */
function takeNumber(folder: string): number {
  for (let number = 10; number < 10_000; number++) {
    try {
      mkdirSync(join(folder, "numbers", String(number)));
      return number;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  throw new Error("all numbers of lab hosts have been used");
}

/** The ethernet addresses that the outside switch has learned from a port. */
export async function macsBehind(port: string): Promise<ReadonlySet<string>> {
  const { stdout } = await execute(["bridge", "-j", "fdb", "show", "brport", port]);
  const entries = JSON.parse(stdout || "[]") as readonly { readonly mac: string }[];
  return new Set(entries.map((entry) => entry.mac));
}

/** Otherwise the next host or guest with the same address would be looked for at the old one's place. */
export async function forgetNeighbours(macs: ReadonlySet<string>): Promise<void> {
  const { stdout } = await execute(["ip", "-j", "neigh", "show", "dev", "labsw"]);
  const entries = JSON.parse(stdout || "[]") as readonly { readonly dst: string; readonly lladdr?: string }[];
  const stale = entries.filter((entry) => entry.lladdr !== undefined && macs.has(entry.lladdr));
  if (stale.length === 0) return;
  const lines = stale.map((entry) => `neigh delete ${entry.dst} dev labsw\n`).join("");
  await execute(["ip", "-force", "-batch", "-"], lines);
}
