import { existsSync } from "node:fs";
import { join } from "node:path";

const folder = process.env["DRAWBRIDGE_LAB"] ?? "/run/not-in-the-lab";

/** The private key that root and all users of the lab's hosts accept. */
export const clientKeyPath = join(folder, "keys", "client");

/** The same key behind a passphrase. */
export const clientKeyPathEncrypted = join(folder, "keys", "client-encrypted");

/** The passphrase of `clientKeyPathEncrypted`. */
export const clientKeyPassphrase = "drawbridge";

/** The folder of the outside world that this process runs in; an error when it runs in none. */
export function world(): string {
  if (!existsSync(join(folder, "numbers")) || !existsSync("/proc/sys/net/ipv4/conf/labsw")) {
    throw new Error("lab hosts can be started only inside the lab: node tools/in-lab.mjs COMMAND…");
  }
  return folder;
}
