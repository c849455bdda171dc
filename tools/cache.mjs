import { homedir } from "node:os";
import { join } from "node:path";

/** The one folder that holds everything fetched or built once: root images, the Pulumi CLI, node binaries, Go's caches, the lab's SSH keys. */
export function cacheFolder() {
  const { DRAWBRIDGE_CACHE, XDG_CACHE_HOME } = process.env;
  return DRAWBRIDGE_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "drawbridge");
}

/** A path inside the cache folder. */
export function cached(...parts) {
  return join(cacheFolder(), ...parts);
}
