import { setTimeout as sleep } from "node:timers/promises";
import { Client, type ClientChannel, type ConnectConfig } from "ssh2";
import { z } from "zod";
import { type Failure, HostError } from "../core/errors";
import type { Connection } from "../core/values/connection";
import { printableLine } from "../core/values/printable";
import {
  agentOf,
  credentialsOf,
  namesCredentials,
  offeredBy,
  type OwnCredentials,
  ownCredentials,
  Unreadable,
  withOwn,
} from "./credentials";
import {
  acceptedKey,
  acceptKey,
  type ExpectedKey,
  fingerprint,
  isExpected,
  knownHostKeys,
  type PublicKeyLine,
  publicKeyLine,
} from "./host-key";
import { BadAnswer, LIMITS } from "./protocol";
import type { Target } from "./target";

export interface ExecResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly step: string;
  readonly deadlineSeconds: number;
  readonly deadline?: AbortSignal;
  /** How much of its output is listened to. */
  readonly stdoutBytes: number;
  /** Until it has said something. */
  readonly firstByteSeconds?: number;
  readonly onStderrLine?: (line: string) => void;
}

/** An authenticated SSH connection. */
export interface SshConnection {
  /** The key that the host showed. */
  readonly hostKey: PublicKeyLine;
  readonly isClosed: () => boolean;
  /**
   * Runs a constant command with data on stdin, which may be known later.
   * @throws HostError `unreachable` when it does not end within the deadline, BadAnswer when it says more than is listened to; the
   * connection is closed then, so that nothing more comes
   */
  exec(command: string, stdin: Buffer | Promise<Buffer>, options: ExecOptions): Promise<ExecResult>;
  close(): void;
}

type Hop = Omit<Connection, "proxy">;

/** Why a command has no end: its connection has gone. */
const LOST = "the connection was lost";
const DEFAULT_DIAL_SECONDS = 15;
const DEFAULT_DIAL_ERRORS = 3;

/** "deploy@gw1:22", for messages. */
export function describeHop({ user = "root", host, port = 22 }: Hop): string {
  return `${user}@${host}:${port}`;
}

/** What a dial tells, and whether it may go beyond the credentials that it was given. */
export interface DialOptions {
  /** Where sshd drops connections because it has too many. */
  readonly onLimited?: () => void;
  /** Where the given credentials are refused or cannot be read, those of this machine are tried. */
  readonly mayTryOwn?: boolean;
}

export interface OpenedSsh extends SshConnection {
  /** Of this machine's own credentials, those that were taken in the place of the given ones. */
  readonly by?: OwnCredentials;
}

/**
 * Opens a new TCP connection, through the jump host where there is one, and authenticates. Network errors are tried again
 * `dialErrorLimit` times, and what sshd drops because it has too many, until the deadline unless that is set; a wrong key or refused
 * credentials are not. Where no credentials are given, this machine's own are tried one after the other.
 * @throws HostError `unreachable`, `host-key`, `authentication`
 */
export async function openSsh(target: Target, deadline: AbortSignal, options: DialOptions = {}): Promise<OpenedSsh> {
  const isGiven = namesCredentials(target);
  let refused: HostError;
  try {
    return await openWith(target, deadline, options);
  } catch (error) {
    const mayTry = !isGiven || options.mayTryOwn === true;
    if (!mayTry || !(error instanceof HostError) || error.failure.code !== "authentication") throw error;
    refused = error;
  }
  const tried: string[] = [];
  for (const own of ownCredentials(isGiven)) {
    try {
      return { ...(await openWith(withOwn(target, own), deadline, options)), by: own };
    } catch (error) {
      if (!(error instanceof HostError) || error.failure.code !== "authentication") throw error;
      tried.push(own.what);
    }
  }
  if (tried.length === 0) throw refused;
  const also = `Of this machine's own, these were refused too: ${tried.join(", ")}.`;
  throw new HostError({ ...refused.failure, wayOut: `${refused.failure.wayOut ?? ""} ${also}`.trim() });
}

async function openWith(target: Target, deadline: AbortSignal, { onLimited }: DialOptions): Promise<SshConnection> {
  const { proxy, ...hop } = target.connection;
  const limit = hop.dialErrorLimit ?? DEFAULT_DIAL_ERRORS;
  for (let attempt = 1; ; attempt++) {
    try {
      if (!proxy) return await dial(hop, target, deadline);
      const jump = await dial(proxy, jumpTarget(target, proxy), deadline);
      const socket = await jump.forward(hop, deadline).catch((error: unknown) => {
        jump.close();
        const isSilent =
          error instanceof NoAnswer || (error instanceof Error && "reason" in error && error.reason === CONNECT_FAILED);
        throw unreachable(hop, `the jump host ${describeHop(proxy)} cannot reach it: ${messageOf(error)}`, { isSilent });
      });
      const inner = await dial(hop, target, deadline, socket).catch((error: unknown) => {
        jump.close();
        throw error;
      });
      return { ...inner, close: () => (inner.close(), jump.close()) };
    } catch (error) {
      if (!(error instanceof HostError) || error.failure.code !== "unreachable" || deadline.aborted) throw error;
      const { isLimited = false } = error.failure;
      const again = limit === -1 || attempt < limit || (isLimited && hop.dialErrorLimit === undefined);
      if (!again) throw error;
      if (isLimited) onLimited?.();
      await sleep(isLimited ? limitedPauseMs() : Math.min(250 * attempt, 2000));
    }
  }
}

/** sshd drops by chance, and each time anew: often is better than seldom. Many that wait do not come at once. */
export const limitedPauseMs = (): number => 500 + Math.random() * 500;

/** The jump host takes the same key file or variable, unless it has credentials of its own; its host key is a matter of its own. */
function jumpTarget({ privateKeyPath, privateKeyEnv }: Target, proxy: Hop): Target {
  const hasOwn = proxy.privateKey !== undefined || proxy.password !== undefined;
  return hasOwn ? { connection: proxy } : { connection: proxy, privateKeyPath, privateKeyEnv };
}

interface Dialed extends SshConnection {
  forward(to: Hop, deadline: AbortSignal): Promise<ClientChannel>;
}

function dial(hop: Hop, target: Target, deadline: AbortSignal, sock?: ConnectConfig["sock"]): Promise<Dialed> {
  const expected = expectedKey(hop, target);
  const client = new Client();
  const progress: Progress = { isSilent: true, isAuthenticating: false };
  const { promise, resolve, reject } = withResolvers<Dialed>();
  const failed = (error: unknown) => reject(connectError(hop, target, expected, progress, error));

  const stopWatch = watchTime({ deadline }, (reason) => {
    client.destroy();
    reject(unreachable(hop, reason, { isSilent: progress.isSilent }));
  });
  let closed = false;
  let password = "";
  client
    .on("connect", () => {
      progress.isSilent = false;
      // Without this every round trip waits 40 ms for a delayed ACK.
      client.setNoDelay(true);
    })
    .on("handshake", () => (progress.isAuthenticating = true))
    .on("ready", () => {
      // Others may have dialed at the same time.
      if (expected === "any" && progress.seen !== undefined && !acceptKey(placeOf(target), progress.seen)) {
        client.destroy();
        return reject(hostKeyError(hop, expectedKey(hop, target), progress.seen));
      }
      nudge(client);
      resolve({
        hostKey: progress.seen ?? "",
        isClosed: () => closed,
        exec: (command, stdin, options) => exec(client, hop, command, stdin, options),
        forward: (to, giveUpAt) => forward(client, to, giveUpAt),
        close: () => {
          client.end();
          // A peer that is gone never answers the good-bye.
          setTimeout(() => client.destroy(), 1000).unref();
        },
      });
    })
    .on("error", (error) => {
      // ssh2 goes on to the next way to authenticate.
      if (sshErrorOf(error).level !== "agent") failed(error);
    })
    // A server that asks for the password by keyboard-interactive gets it too.
    .on("keyboard-interactive", (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)))
    .on("close", () => {
      closed = true;
      reject(unreachable(hop, "the connection was closed", { isSilent: progress.isSilent }));
    });
  try {
    const offered = credentialsOf(hop, target);
    password = offered.password ?? "";
    client.connect({
      ...offered,
      // ssh2's own order begins with the password, which a server may count as the one failure too many.
      authHandler: ["publickey", "agent", "password", "keyboard-interactive"],
      tryKeyboard: offered.password !== undefined,
      ...(sock ? { sock } : {}),
      host: hop.host,
      port: hop.port ?? 22,
      username: hop.user ?? "root",
      readyTimeout: dialSeconds(hop) * 1000,
      keepaliveInterval: 15_000,
      hostVerifier: (blob: Buffer) => {
        progress.seen = publicKeyLine(blob);
        return isExpected(expected, progress.seen);
      },
      // Without ssh-rsa, whose signatures are of SHA-1; a key of that kind signs by SHA-2 too.
      algorithms: { serverHostKey: preferKnown(expected === "any" ? [] : expected.keys) },
    });
  } catch (error) {
    // What it throws is about a key that it cannot read.
    progress.isSilent = false;
    failed(new Unreadable(messageOf(error)));
  }
  return promise.finally(stopWatch);
}

/** SSH_OPEN_CONNECT_FAILED, RFC 4254 section 5.1: the jump host has got no TCP connection; what it forbids has another number. */
const CONNECT_FAILED = 2;
class NoAnswer extends Error {}

// The jump host's own TCP would try for minutes, and ssh2 has no limit for it.
function forward(client: Client, to: Hop, deadline: AbortSignal): Promise<ClientChannel> {
  const { promise, resolve, reject } = withResolvers<ClientChannel>();
  const stopWatch = watchTime({ deadline, seconds: dialSeconds(to) }, (reason) => reject(new NoAnswer(reason)));
  try {
    client.forwardOut("127.0.0.1", 0, to.host, to.port ?? 22, (error, channel) => (error ? reject(error) : resolve(channel)));
  } catch (error) {
    reject(error);
  }
  return promise.finally(stopWatch);
}

/** Calls `giveUp` when the seconds are over or the deadline has come, at once where it has come already; the answer stops the watch. */
function watchTime(limit: { deadline?: AbortSignal; seconds?: number }, giveUp: (reason: string) => void): () => void {
  const { deadline, seconds } = limit;
  const tooLate = () => giveUp("no answer before the deadline");
  const timer = seconds === undefined ? undefined : setTimeout(() => giveUp(`no answer after ${seconds} s`), seconds * 1000);
  deadline?.addEventListener("abort", tooLate, { once: true });
  if (deadline?.aborted) tooLate();
  return () => {
    clearTimeout(timer);
    deadline?.removeEventListener("abort", tooLate);
  };
}

function dialSeconds({ perDialTimeout = DEFAULT_DIAL_SECONDS }: Hop): number {
  return perDialTimeout;
}

// A host with several keys must show the kind that we know, else a known host looks like a stranger.
function preferKnown(keys: readonly PublicKeyLine[]) {
  const all = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
  ] as const;
  const types = new Set(keys.map((key) => key.trim().split(/\s+/)[0]));
  const isKnown = (name: string) => types.has(name) || (types.has("ssh-rsa") && name.startsWith("rsa-"));
  return [...all.filter(isKnown), ...all.filter((name) => !isKnown(name))];
}

/** Where `accept-new` pins a key: the machine behind an address and a port, as seen from the jump host. */
export function placeOf({ connection: { host, port = 22, proxy }, machine }: Target): string {
  return JSON.stringify([host, port, proxy && [proxy.host, proxy.port ?? 22], machine]);
}

function expectedKey(hop: Hop, target: Target): ExpectedKey {
  if (hop.hostKey !== undefined) return { keys: [hop.hostKey], source: "connection.hostKey" };
  if (target.hostKeyPolicy === "accept-new") {
    if (target.pinnedHostKey !== undefined)
      return { keys: [target.pinnedHostKey], source: "the key that accept-new pinned when the resource was created" };
    const taken = acceptedKey(placeOf(target));
    return taken === undefined ? "any" : { keys: [taken], source: "the key that another resource of this program has taken" };
  }
  return { keys: knownHostKeys(hop.host, hop.port ?? 22), source: "known_hosts" };
}

/** What is known of a connection that comes to be. */
interface Progress {
  seen?: PublicKeyLine;
  /** Nothing has taken a TCP connection. */
  isSilent: boolean;
  /** The host has shown its key and owns it; what fails now are credentials. */
  isAuthenticating: boolean;
}

function connectError(hop: Hop, target: Target, expected: ExpectedKey, progress: Progress, error: unknown): HostError {
  const { seen } = progress;
  if (expected !== "any" && seen !== undefined && !isExpected(expected, seen)) return hostKeyError(hop, expected, seen);
  if (isOfCredentials(error, progress)) return credentialError(hop, target, messageOf(error));
  if (seen === undefined && wasDropped(error)) {
    const reason =
      "sshd took the connection and dropped it without a word, as it does with too many (MaxStartups, PerSourcePenalties)";
    return new HostError({ code: "unreachable", host: describeHop(hop), step: "connect", reason, isLimited: true });
  }
  return unreachable(hop, networkReason(error), { isSilent: progress.isSilent });
}

function hostKeyError(hop: Hop, expected: ExpectedKey, seen: PublicKeyLine): HostError {
  const { keys, source } = expected === "any" ? { keys: [], source: "" } : expected;
  const [type = ""] = seen.split(" ");
  const file = `/etc/ssh/ssh_host_${KEY_FILES[type] ?? "*"}_key.pub`;
  const shown = `it shows ${type} ${fingerprint(seen)}`;
  const pin = `If that is right (compare with \`ssh-keygen -lf ${file}\` on its console), pin it:\n  hostKey: "${seen}"`;
  const isStranger = keys.length === 0;
  return new HostError({
    code: "host-key",
    host: describeHop(hop),
    step: "connect",
    reason: isStranger ? `the host's key is unknown: ${shown}` : `the host's key is not the one in ${source}: ${shown}`,
    wayOut: isStranger ? pin : `Somebody may be in between, or the machine is a new one. ${pin}`,
  });
}

/** A kind of host key to the word in the name of sshd's file (sshd_config(5), HostKey). */
const KEY_FILES: Readonly<Record<string, string>> = {
  "ssh-ed25519": "ed25519",
  "ssh-rsa": "rsa",
  "ecdsa-sha2-nistp256": "ecdsa",
  "ecdsa-sha2-nistp384": "ecdsa",
  "ecdsa-sha2-nistp521": "ecdsa",
};

/** ssh2 marks its errors with `level`; a DISCONNECT of the host's has its number as `code` (RFC 4253, 11.1). */
const sshError = z.object({
  level: z.string().optional(),
  code: z.union([z.string(), z.number()]).optional(),
  syscall: z.string().optional(),
});
const sshErrorOf = (error: unknown) => sshError.catch({}).parse(error);

function isOfCredentials(error: unknown, { isAuthenticating }: Progress): boolean {
  const { level, code } = sshErrorOf(error);
  return error instanceof Unreadable || level === "client-authentication" || (isAuthenticating && typeof code === "number");
}

/** sshd went away before it said its version. */
function wasDropped(error: unknown): boolean {
  const { level, code } = sshErrorOf(error);
  return code === "ECONNRESET" || (level === "protocol" && error instanceof Error && error.message === LOST_EARLY);
}

/** Without a code in ssh2 (client.js, onDone). */
const LOST_EARLY = "Connection lost before handshake";

/** Of the codes of connect(2) that are common, what they mean. */
const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  EHOSTUNREACH: "there is no way to the host",
  ENETUNREACH: "there is no way to the network",
  ETIMEDOUT: "no answer",
};

function networkReason(error: unknown): string {
  const { code } = sshErrorOf(error);
  const meaning = typeof code === "string" ? NETWORK[code] : undefined;
  return meaning === undefined ? messageOf(error) : `${meaning} (${code})`;
}

function credentialError(hop: Hop, target: Target, reason: string): HostError {
  const tried = offeredBy(hop, target);
  const nothing =
    "No credentials were given: name a key file by `privateKeyPath`, start an SSH agent, or put a key at ~/.ssh/id_ed25519; docs/connection.md has all ways.";
  // Only an agent offers what we do not know; what we cannot read of a file says so itself.
  const unsupported =
    agentOf(hop) === undefined ? "" : " Of an agent's keys, certificates and FIDO keys (sk-…) are not supported.";
  const wayOut = tried.length === 0 ? nothing : `Tried: ${tried.join(", ")}.${unsupported}`;
  return new HostError({ code: "authentication", host: describeHop(hop), step: "connect", reason, wayOut });
}

/** More of a failure on the way: the step, unless it is "connect". */
type More = Partial<Pick<Failure, "step">> & { readonly isSilent?: boolean; readonly isLost?: boolean };

function unreachable(hop: Hop, reason: string, { step = "connect", isSilent = false, isLost = false }: More = {}): HostError {
  const marks = { ...(isSilent ? { isSilent } : {}), ...(isLost ? { isLost } : {}) };
  return new HostError({ code: "unreachable", host: describeHop(hop), step, reason, ...marks });
}

/** How long after a connection is there, in milliseconds. */
const NUDGES_MS = [2, 4, 8, 16, 32];

/**
 * Until its first command runs, sshd sends each small packet only when the one before it is acknowledged (Nagle), which our kernel puts off by
 * 40 ms while we have nothing to send. So we send what wants no answer and changes nothing: the end of a forwarding that never began.
 */
function nudge(client: Client): void {
  const send = () => {
    try {
      client.unforwardIn("127.0.0.1", 0);
    } catch {
      // It is closed, which whoever uses it learns.
    }
  };
  for (const ms of NUDGES_MS) setTimeout(send, ms).unref();
}

function exec(
  client: Client,
  hop: Hop,
  command: string,
  stdin: Buffer | Promise<Buffer>,
  options: ExecOptions,
): Promise<ExecResult> {
  const { promise, resolve, reject } = withResolvers<ExecResult>();
  const lost = (reason = LOST) => reject(unreachable(hop, reason, { step: options.step, isLost: true }));
  // Who does not stop speaking is not waited for: a channel that is closed could go on filling our memory.
  const giveUp = (error: Error) => {
    reject(error);
    client.destroy();
  };
  const onClose = () => lost();
  client.once("close", onClose);
  const late = (reason: string) => giveUp(unreachable(hop, reason, { step: options.step }));
  const stopWatch = watchTime({ ...options, seconds: options.deadlineSeconds }, late);
  const stopListening = watchTime(options.firstByteSeconds === undefined ? {} : { seconds: options.firstByteSeconds }, late);
  const begin = () =>
    client.exec(command, (error, channel) => {
      if (error) return reject(unreachable(hop, messageOf(error), { step: options.step }));
      const heard = listen(channel, options, giveUp, () => stopListening());
      channel.on("close", (code: unknown, signal: unknown) => {
        if (typeof signal === "string") return lost(`${LOST}: ${printableLine(signal, 40)} has ended the command`);
        if (typeof code !== "number") return lost();
        resolve({ code, ...heard() });
      });
      // The command may have ended before its input was known.
      if (stdin instanceof Promise) void stdin.then((bytes) => channel.writable && channel.end(bytes));
      else channel.end(stdin);
    });
  try {
    begin();
  } catch (error) {
    // A socket that is half closed throws before it says "close".
    reject(unreachable(hop, messageOf(error), { step: options.step }));
  }
  return promise.finally(() => {
    stopWatch();
    stopListening();
    client.removeListener("close", onClose);
  });
}

/** Collects what a command says, as far as it is listened to; the answer gives what was collected. */
function listen(
  channel: ClientChannel,
  { stdoutBytes, onStderrLine }: ExecOptions,
  giveUp: (error: BadAnswer) => void,
  onFirst: () => void,
): () => Pick<ExecResult, "stdout" | "stderr"> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let [outBytes, errBytes, rest] = [0, 0, ""];
  const stop = (what: string) => {
    channel.removeAllListeners("data");
    channel.stderr.removeAllListeners("data");
    [out, err].forEach((chunks) => chunks.splice(0));
    giveUp(new BadAnswer(what));
  };
  channel.on("data", (chunk: Buffer) => {
    onFirst();
    outBytes += chunk.length;
    if (outBytes > stdoutBytes) return stop(`more than ${stdoutBytes} bytes`);
    out.push(chunk);
  });
  channel.stderr.on("data", (chunk: Buffer) => {
    onFirst();
    errBytes += chunk.length;
    if (errBytes > LIMITS.stderrBytes) return stop(`more than ${LIMITS.stderrBytes} bytes of news`);
    err.push(chunk);
    const lines = (rest + chunk.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LIMITS.lineBytes) return stop(`a line of more than ${LIMITS.lineBytes} bytes`);
    for (const line of lines) onStderrLine?.(line);
  });
  return () => ({ stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString("utf8") });
}

/** What a library says, which may be a stranger's words: one line, nothing for a terminal to obey. */
function messageOf(error: unknown): string {
  return printableLine(error instanceof Error ? error.message : String(error), 500);
}

// Promise.withResolvers is younger than Node 20.
function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((done, fail) => ([resolve, reject] = [done, fail]));
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
