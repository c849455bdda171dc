import type { Access } from "../core/values/connection";

/** What the transport needs to know: where, as whom, by which credentials, and which host keys to believe. */
export type Target = Pick<
  Access,
  "connection" | "privateKeyPath" | "privateKeyEnv" | "passwordEnv" | "hostKeyPolicy" | "become" | "machine"
> & {
  /** The key that `accept-new` pinned when the resource was created. */
  readonly pinnedHostKey?: string;
};
