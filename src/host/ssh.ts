import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, type ClientChannel, type ConnectConfig } from "ssh2";
import { HostError } from "../core/errors";
import type { Access, Connection } from "../core/values/connection";
import { type ExpectedKey, fingerprint, isExpected, knownHostKeys, type PublicKeyLine, publicKeyLine } from "./host-key";
import { homeFolder, projectFolder } from "./project";

/** What the transport needs to know: where, as whom, by which credentials, and which host keys to believe. */
export type Target = Pick<
  Access,
  "connection" | "privateKeyPath" | "privateKeyEnv" | "passwordEnv" | "hostKeyPolicy" | "become"
> & {
  /** The key that `accept-new` pinned when the resource was created. */
  readonly pinnedHostKey?: string;
};

export interface ExecResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** An authenticated SSH connection. */
export interface SshConnection {
  /** The key that the host showed. */
  readonly hostKey: PublicKeyLine;
  readonly isClosed: () => boolean;
  /** Runs a constant command with data on stdin. @throws HostError `unreachable` when it does not end within the deadline. */
  exec(
    command: string,
    stdin: Buffer,
    options: { step: string; deadlineSeconds: number; deadline?: AbortSignal; onStderrLine?: (line: string) => void },
  ): Promise<ExecResult>;
  close(): void;
}

type Hop = Omit<Connection, "proxy">;

/** Why a command has no end: its connection has gone. */
export const LOST = "the connection was lost";
const DEFAULT_DIAL_SECONDS = 15;
const DEFAULT_DIAL_ERRORS = 3;

/** "deploy@gw1:22", for messages. */
export function describeHop({ user = "root", host, port = 22 }: Hop): string {
  return `${user}@${host}:${port}`;
}

/**
 * Opens a new TCP connection, through the jump host where there is one, and authenticates. Network errors are tried again
 * `dialErrorLimit` times, and what sshd drops because it has too many, until the deadline unless that is set; a wrong key or refused
 * credentials are not.
 * @throws HostError `unreachable`, `host-key`, `authentication`
 */
export async function openSsh(target: Target, deadline: AbortSignal, onLimited = () => {}): Promise<SshConnection> {
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
      if (isLimited) onLimited();
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
  let seen: PublicKeyLine | undefined;
  let isSilent = true;
  const { promise, resolve, reject } = withResolvers<Dialed>();

  const stopWatch = watchTime({ deadline }, (reason) => {
    client.destroy();
    reject(unreachable(hop, reason, { isSilent }));
  });
  let closed = false;
  let password = "";
  client
    .on("connect", () => {
      isSilent = false;
      // Without this every round trip waits 40 ms for a delayed ACK.
      client.setNoDelay(true);
    })
    .on("ready", () =>
      resolve({
        hostKey: seen ?? "",
        isClosed: () => closed,
        exec: (command, stdin, options) => exec(client, hop, command, stdin, options),
        forward: (to, giveUpAt) => forward(client, to, giveUpAt),
        close: () => {
          client.end();
          // A peer that is gone never answers the good-bye.
          setTimeout(() => client.destroy(), 1000).unref();
        },
      }),
    )
    .on("error", (error) => reject(connectError(hop, target, expected, { seen, isSilent }, error)))
    // A server that asks for the password by keyboard-interactive gets it too.
    .on("keyboard-interactive", (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)))
    .on("close", () => {
      closed = true;
      reject(unreachable(hop, "the connection was closed", { isSilent }));
    });
  try {
    const offered = credentials(hop, target);
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
        seen = publicKeyLine(blob);
        return isExpected(expected, seen);
      },
      ...(expected === "any" ? {} : { algorithms: { serverHostKey: preferKnown(expected.keys) } }),
    });
  } catch (error) {
    reject(connectError(hop, target, expected, { seen, isSilent: false }, error));
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

function expectedKey(hop: Hop, target: Target): ExpectedKey {
  if (hop.hostKey !== undefined) return { keys: [hop.hostKey], source: "connection.hostKey" };
  if (target.hostKeyPolicy === "accept-new") {
    return target.pinnedHostKey === undefined
      ? "any"
      : { keys: [target.pinnedHostKey], source: "the key that accept-new pinned when the resource was created" };
  }
  return { keys: knownHostKeys(hop.host, hop.port ?? 22), source: "known_hosts" };
}

function credentials(hop: Hop, target: Target): Pick<ConnectConfig, "privateKey" | "passphrase" | "password" | "agent"> {
  const privateKey = hop.privateKey ?? fromEnvironment(target.privateKeyEnv) ?? fromFile(target.privateKeyPath);
  const password = hop.password ?? fromEnvironment(target.passwordEnv);
  const agent = hop.agentSocketPath ?? process.env["SSH_AUTH_SOCK"];
  return {
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(hop.privateKeyPassword === undefined ? {} : { passphrase: hop.privateKeyPassword }),
    ...(password === undefined ? {} : { password }),
    ...(agent === undefined || agent === "" ? {} : { agent }),
  };
}

function fromEnvironment(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`the environment variable ${name} is not set where pulumi runs`);
  return value;
}

// Kept in the state as it was written, so that no colleague's home stands in it.
function fromFile(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const expanded = path.startsWith("~/") ? join(homeFolder(), path.slice(2)) : path;
  return readFileSync(isAbsolute(expanded) ? expanded : join(projectFolder(), expanded), "utf8");
}

function connectError(
  hop: Hop,
  target: Target,
  expected: ExpectedKey,
  { seen, isSilent }: { seen: PublicKeyLine | undefined; isSilent: boolean },
  error: unknown,
): HostError {
  const step = "connect";
  const host = describeHop(hop);
  if (expected !== "any" && seen !== undefined && !isExpected(expected, seen)) {
    const shown = `it shows ${seen.split(" ")[0]} ${fingerprint(seen)}`;
    const pin = `If that is right (compare with \`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub\` on its console), pin it:\n  hostKey: "${seen}"`;
    return expected.keys.length === 0
      ? new HostError({ code: "host-key", host, step, reason: `the host's key is unknown: ${shown}`, wayOut: pin })
      : new HostError({
          code: "host-key",
          host,
          step,
          reason: `the host's key is not the one in ${expected.source}: ${shown}`,
          wayOut: `Somebody may be in between, or the machine is a new one. ${pin}`,
        });
  }
  const message = messageOf(error);
  if (/authentication (methods failed|failures)|privateKey|passphrase|parse|agent|environment variable|ENOENT/i.test(message)) {
    const tried = [
      hop.privateKey !== undefined && "connection.privateKey",
      target.privateKeyEnv !== undefined && `the key in ${target.privateKeyEnv}`,
      target.privateKeyPath !== undefined && `the key file ${target.privateKeyPath}`,
      (hop.password !== undefined || target.passwordEnv !== undefined) && "a password",
      (hop.agentSocketPath ?? process.env["SSH_AUTH_SOCK"]) !== undefined && "the SSH agent",
    ].filter((what) => what !== false);
    const wayOut = `Tried: ${tried.join(", ") || "nothing, since no credentials were given"}. Certificates and FIDO keys (sk-…) are not supported; see docs/connection.md.`;
    return new HostError({ code: "authentication", host, step, reason: message, wayOut });
  }
  if (seen === undefined && /lost before handshake|ECONNRESET/i.test(message)) {
    const reason =
      "sshd took the connection and dropped it without a word, as it does with too many (MaxStartups, PerSourcePenalties)";
    return new HostError({ code: "unreachable", host, step, reason, isLimited: true });
  }
  return unreachable(hop, message, { isSilent });
}

function unreachable(hop: Hop, reason: string, { step = "connect", isSilent = false } = {}): HostError {
  return new HostError({ code: "unreachable", host: describeHop(hop), step, reason, ...(isSilent ? { isSilent } : {}) });
}

function exec(
  client: Client,
  hop: Hop,
  command: string,
  stdin: Buffer,
  options: Parameters<SshConnection["exec"]>[2],
): Promise<ExecResult> {
  const { promise, resolve, reject } = withResolvers<ExecResult>();
  const lost = () => reject(unreachable(hop, LOST, options));
  client.once("close", lost);
  const stopWatch = watchTime({ ...options, seconds: options.deadlineSeconds }, (reason) =>
    reject(unreachable(hop, reason, options)),
  );
  const begin = () =>
    client.exec(command, (error, channel) => {
      if (error) return reject(unreachable(hop, messageOf(error), options));
      const out: Buffer[] = [];
      let err = "";
      let rest = "";
      channel.on("data", (chunk: Buffer) => out.push(chunk));
      channel.stderr.on("data", (chunk: Buffer) => {
        err += chunk.toString("utf8");
        rest += chunk.toString("utf8");
        for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
          options.onStderrLine?.(rest.slice(0, end));
          rest = rest.slice(end + 1);
        }
      });
      channel.on("close", (code: unknown, signal: unknown) => {
        if (typeof signal === "string") return reject(unreachable(hop, `${LOST}: ${signal} has ended the command`, options));
        if (typeof code !== "number") return lost();
        resolve({ code, stdout: Buffer.concat(out), stderr: err });
      });
      channel.end(stdin);
    });
  try {
    begin();
  } catch (error) {
    // A socket that is half closed throws before it says "close".
    reject(unreachable(hop, messageOf(error), options));
  }
  return promise.finally(() => {
    stopWatch();
    client.removeListener("close", lost);
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// Promise.withResolvers is younger than Node 20.
function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((done, fail) => ([resolve, reject] = [done, fail]));
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
