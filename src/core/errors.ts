import { printable } from "./values/printable";

/**
 * What can go wrong on the way to a host and on it.
 *
 * | code | what it means | is the host changed? |
 * |---|---|---|
 * | `unreachable` | no TCP connection, no SSH session, or a step that did not end in time | no |
 * | `host-key` | the host's key is unknown or not the one that is expected | no |
 * | `authentication` | the host refused all credentials | no |
 * | `sudo` | `sudo -n` is refused, or there is no sudo | no |
 * | `not-root` | logged in as a plain user without `become` | no |
 * | `missing-tool` | nft, visudo or another program is not installed | no |
 * | `not-writable` | a file system is full or read-only | no |
 * | `not-owned` | something that is not ours stands where the resource wants to be | no |
 * | `refused` | the host's own state makes the resource inert or dangerous | no |
 * | `stale` | a part of a long list is not what this run takes it for; then all of it is sent | no |
 * | `rejected` | the host's nft or visudo does not take the text | no |
 * | `undone` | applied, not confirmed in time, put back by the host itself | no |
 * | `not-tried` | another change of the same run locked us out; this one was left alone | no |
 * | `outcome-unknown` | applied, and the host can no longer be asked | perhaps; the next refresh tells |
 * | `layout` | the host was set up by a newer version of this package | no |
 * | `busy` | somebody else holds the host for too long | no |
 * | `bad-answer` | what the host said is not what its program says: too much, cut, or about something else | no, or the host undoes it: it was not confirmed |
 * | `internal` | a fault in pulumi-drawbridge | no |
 */
export type ErrorCode =
  | "unreachable"
  | "host-key"
  | "authentication"
  | "sudo"
  | "not-root"
  | "missing-tool"
  | "not-writable"
  | "not-owned"
  | "refused"
  | "stale"
  | "rejected"
  | "undone"
  | "not-tried"
  | "outcome-unknown"
  | "layout"
  | "busy"
  | "bad-answer"
  | "internal";

export interface Failure {
  readonly code: ErrorCode;
  /** "deploy@gw1.example.org:22" */
  readonly host: string;
  /** What was being done: "connect", "read the host", "apply" … */
  readonly step: string;
  /** Why it failed; never contains a secret. */
  readonly reason: string;
  /** What the user can do now. */
  readonly wayOut?: string;
  /** The host is there and takes no new connection for now. */
  readonly isLimited?: true;
  /** Nothing has taken a TCP connection at its address. Whatever took one is there, and is never held for a host that is gone. */
  readonly isSilent?: true;
  /** The connection went while a command ran. */
  readonly isLost?: true;
}

/** A failure that the user sees, as Pulumi prints it: one sentence, then the way out. Whatever a stranger has put into it, no control character gets through. */
export class HostError extends Error {
  override readonly name = "HostError";
  readonly failure: Failure;

  constructor(failure: Failure) {
    const { code, host, step, reason, wayOut } = failure;
    super(printable(`${host}: ${step}: ${reason} [${code}]${wayOut === undefined ? "" : `\n${wayOut}`}`));
    this.failure = failure;
    // Pulumi prints the stack of what read, check, diff and delete throw; it tells the user nothing.
    this.stack = "";
  }

  /** One line: Pulumi prints it beside the message of what read, check, diff and delete throw, and the way out belongs there once. */
  override toString(): string {
    return this.message.split("\n", 1).join();
  }
}
