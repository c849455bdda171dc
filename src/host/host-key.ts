import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { homeFolder } from "./project";

/** "ssh-ed25519 AAAA…", as in known_hosts and authorized_keys. */
export type PublicKeyLine = string;

/** Which key a host may show. `any` accepts the first one seen, for `accept-new`. */
export type ExpectedKey = { readonly keys: readonly PublicKeyLine[]; readonly source: string } | "any";

/** The line that pins a key, from the blob of the key exchange. */
export function publicKeyLine(blob: Buffer): PublicKeyLine {
  const length = blob.readUInt32BE(0);
  return `${blob.toString("utf8", 4, 4 + length)} ${blob.toString("base64")}`;
}

/** "SHA256:…" as ssh-keygen -l prints it. */
export function fingerprint(line: PublicKeyLine): string {
  const blob = Buffer.from(line.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/** Whether `line` is one of the keys; comments behind a key do not count. */
export function isExpected(expected: ExpectedKey, line: PublicKeyLine): boolean {
  if (expected === "any") return true;
  const [type, blob] = line.split(" ");
  return expected.keys.some((key) => key.trim().split(/\s+/).slice(0, 2).join(" ") === `${type} ${blob}`);
}

/** The keys that OpenSSH's own files know for a host, hashed names included (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export function knownHostKeys(host: string, port: number): PublicKeyLine[] {
  const name = port === 22 ? host : `[${host}]:${port}`;
  return [join(homeFolder(), ".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts"]
    .flatMap(readLines)
    .map((line) => line.trim().split(/\s+/))
    .filter(([patterns = "", type]) => !patterns.startsWith("#") && !patterns.startsWith("@") && type !== undefined)
    .filter(([patterns = ""]) => patterns.split(",").some((pattern) => names(pattern, name)))
    .map(([, type, blob]) => `${type} ${blob}`);
}

function names(pattern: string, name: string): boolean {
  const [, kind, salt, hash] = pattern.split("|");
  if (kind !== "1" || !salt || !hash) return pattern.toLowerCase() === name.toLowerCase();
  const digest = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
  const expected = Buffer.from(hash, "base64");
  return digest.length === expected.length && timingSafeEqual(digest, expected);
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n");
  } catch {
    return []; // No file of known hosts is as good as an empty one.
  }
}

/** The keys that `accept-new` took in this process, or that its resources had pinned before, by place. */
const accepted = new Map<string, PublicKeyLine>();

/** The key that was taken at this place, if one was. */
export const acceptedKey = (place: string): PublicKeyLine | undefined => accepted.get(place);

/** Takes the key, unless another one was taken at this place: of two resources of one host the second takes no other key. */
export function acceptKey(place: string, key: PublicKeyLine): boolean {
  const first = accepted.get(place) ?? key;
  accepted.set(place, first);
  return first === key;
}

/** For the end of the process. */
export const forgetAcceptedKeys = (): void => accepted.clear();
