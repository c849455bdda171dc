import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorCode, HostError } from "../core/errors";
import { LAYOUT } from "../core/files/host-file";
import { printableLine } from "../core/values/printable";
import { hostProgram } from "./program";
import { withOwn } from "./credentials";
import { acceptKey } from "./host-key";
import { BadAnswer, type Greeting, LIMITS, readFailure, readGreeting, readNews, saysFailure } from "./protocol";
import { describeHop, type ExecOptions, type ExecResult, limitedPauseMs, openSsh, placeOf, type SshConnection } from "./ssh";
import type { Target } from "./target";

const PROGRAM = "/usr/local/sbin/drawbridge-host";
// Constant text: the remote shell fills in the variable, no value of a user ever stands here. The program puts itself in its place, so
// that one that was cut on its way does nothing.
// It says first that it runs, and as whom, so that nothing is guessed from words of sudo's.
const INSTALL = `/bin/sh -c 'echo begun $(id -u); umask 022; mkdir -p /usr/local/sbin && t=$(mktemp /usr/local/sbin/.drawbridge-host.XXXXXXXXXX) && { cat >"$t" && /bin/sh "$t" install || { rm -f "$t"; exit 1; }; }'`;
/** Long enough for a queue of others; a dead connection is noticed by keep-alives after a minute. */
const STEP_SECONDS = 900;
const CONNECT_SECONDS = 60;
/** What drawbridge-host ends with where it is older than its caller, or neither older nor the same; nothing was done then. */
const NOT_SERVED = 3;
/** What a shell ends with where there is no such program (POSIX, 2.8.2). */
const NOT_FOUND = 127;
/** How often the program is installed against writers of another version, and against silence. */
const VERSION_TRIES = 40;
const SILENT_TRIES = 3;
/** Commands that change nothing. */
const LOOKS: readonly Command[] = ["snapshot", "survey", "preflight", "report"];
/** ufw's limit takes five in 30 s. */
const SPACING_MS = 6_500;
/** A first packet is repeated after one second and after three. */
const SLOW_MS = 2_500;

type Command = "snapshot" | "survey" | "preflight" | "apply" | "result" | "confirm" | "report";

/** A command that runs and waits for its input. */
interface Begun {
  readonly command: string;
  readonly connection: SshConnection;
  readonly give: (stdin: Buffer) => void;
  readonly result: Promise<ExecResult>;
  onStderrLine: (line: string) => void;
  hasFailed: boolean;
}

interface CallOptions {
  readonly step: string;
  readonly onStatus?: (text: string) => void;
  readonly deadline?: AbortSignal;
}

/** How much of an answer is listened to, and how long for its beginning. */
type Heard = Pick<ExecOptions, "stdoutBytes" | "firstByteSeconds">;

/** A host as this process sees it: one pooled connection, and drawbridge-host behind it. */
export class RemoteHost {
  readonly name: string;
  #target: Target;
  #connection: Promise<SshConnection> | undefined;
  /** Calls under way, by connection: one that was replaced is closed when the last of them has its answer. */
  readonly #calls = new Map<SshConnection, number>();
  #cancelled = false;
  #begun: Begun | undefined;
  #lastDial = 0;
  /** Between two new connections; none until the host has refused one. */
  #spacing = 0;

  /** Where it is not to go beyond its own credentials, nothing; else who is told what was taken in their place. */
  #onOwn: ((what: string) => void) | undefined;

  constructor(target: Target) {
    this.#target = target;
    this.name = describeHop(target.connection);
    if (target.hostKeyPolicy === "accept-new" && target.pinnedHostKey !== undefined)
      acceptKey(placeOf(target), target.pinnedHostKey);
  }

  /**
   * For a state's credentials, which may be old: where they are refused, this machine's own are tried, and taken from then on. Says so once.
   */
  mayTryOwn(onOwn: (what: string) => void): void {
    this.#onOwn = onOwn;
  }

  /** The host key that the pooled connection saw. */
  async hostKey(): Promise<string> {
    return this.#target.pinnedHostKey ?? (await this.#connected()).hostKey;
  }

  /** Calls drawbridge-host, and reads what it answers. @throws HostError `bad-answer` where that is not what it should be */
  async ask<Answer>(
    command: Command,
    stdin: Buffer,
    read: (payload: Buffer) => Answer | Promise<Answer>,
    options: CallOptions,
  ): Promise<Answer> {
    const payload = await this.call(command, stdin, options);
    try {
      return await read(payload);
    } catch (error) {
      throw error instanceof BadAnswer ? this.#badAnswer(options.step, error) : error;
    }
  }

  /**
   * Begins a command over the connection that there is, before its input is known, so that the host has done by then what does not depend on it. The next
   * call of the command goes on with it.
   */
  async begin(command: Command): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined);
    if (connection === undefined || connection.isClosed() || this.#begun) return;
    let give: (stdin: Buffer) => void = () => undefined;
    const stdin = new Promise<Buffer>((resolve) => (give = resolve));
    const line = this.#commandLine(command);
    const result = connection.exec(line, stdin, {
      step: command,
      deadlineSeconds: STEP_SECONDS,
      ...heardOf(command),
      onStderrLine: (news) => begun.onStderrLine(news),
    });
    const begun: Begun = { command: line, connection, give, result, onStderrLine: () => undefined, hasFailed: false };
    this.#begun = begun;
    result.catch(() => (begun.hasFailed = true));
  }

  /** Calls drawbridge-host, installing or upgrading it first where need be, and returns what follows its greeting. */
  async call(command: Command, stdin: Buffer, options: CallOptions): Promise<Buffer> {
    for (let tries = 1; ; tries++) {
      const result = await this.#greeted(command, stdin, options).catch((error: unknown) => {
        // A look changes nothing: where the connection is lost, once more over a new one.
        if (!LOOKS.includes(command) || !isLost(error) || this.#cancelled) throw error;
        return this.#greeted(command, stdin, options);
      });
      const { greeting } = result;
      if (greeting && result.code !== NOT_SERVED) return this.#payload(result, options.step);
      // A writer of another version may put its own program there between our installation and our question, and a sweep may take it
      // away; neither has done anything of what we asked. A program that never answers is given up sooner.
      if (tries > (greeting ? VERSION_TRIES : SILENT_TRIES)) {
        const reason = greeting
          ? `other writers keep putting version ${greeting.version} of drawbridge-host in the place of ${hostProgram().version}`
          : `drawbridge-host was installed and does not answer: ${printableLine(result.stderr)}`;
        throw this.#failure(greeting ? "busy" : "internal", options.step, reason);
      }
      if (tries > 1) await sleep(Math.random() * Math.min(100 * 2 ** tries, 3_000));
      await this.#installProgram(result, options.step);
    }
  }

  /**
   * A new TCP connection with full authentication, which takes the place of the pooled one. Tries until the deadline, since hosts limit
   * how often they take new ones.
   */
  async reconnect(deadline: AbortSignal, onStatus?: (text: string) => void): Promise<void> {
    const previous = this.#connection;
    const fresh = await this.#dialPatiently(deadline, onStatus);
    this.#connection = Promise.resolve(fresh);
    previous?.then((connection) => this.#closeIfIdle(connection)).catch(() => undefined);
  }

  /** Whether the run was given up; what is applied and not confirmed is then left to the host's own undo. */
  get isCancelled(): boolean {
    return this.#cancelled;
  }

  close(): void {
    this.#cancelled = true;
    this.#connection?.then((connection) => connection.close()).catch(() => undefined);
    this.#connection = undefined;
  }

  async #connected(
    deadline = AbortSignal.timeout(CONNECT_SECONDS * 1000),
    onStatus?: (text: string) => void,
  ): Promise<SshConnection> {
    if (this.#cancelled) throw this.#failure("unreachable", "connect", "the run was cancelled");
    const pooled = await this.#connection?.catch(() => undefined);
    if (pooled && !pooled.isClosed()) return pooled;
    const dialing = this.#dial(deadline, { onStatus });
    this.#connection = dialing;
    dialing.catch(() => (this.#connection = undefined));
    return dialing;
  }

  /** Where the host has refused a connection in this run, waits until it will hardly refuse the next one. */
  async spaceOut(onStatus: (text: string) => void): Promise<void> {
    const wait = this.#lastDial + this.#spacing - Date.now();
    if (this.#spacing === 0 || wait <= 0) return;
    onStatus(`waiting ${Math.ceil(wait / 1000)} s, since ${this.name} was slow to take the last connection`);
    await sleep(wait);
  }

  async #dialPatiently(deadline: AbortSignal, onStatus?: (text: string) => void): Promise<SshConnection> {
    const isOver = () => deadline.aborted;
    for (let attempt = 0; ; attempt++) {
      if (this.#cancelled) throw this.#failure("unreachable", "connect", "the run was cancelled");
      const started = Date.now();
      // A firewall that limits connections drops the first packet, and lets one of its repetitions pass.
      const slow = setTimeout(() => {
        this.#spacing = SPACING_MS;
        onStatus?.("no answer to a new connection yet; trying until the deadline");
      }, SLOW_MS);
      try {
        return await this.#dial(deadline, { dialErrorLimit: 1 });
      } catch (error) {
        if (!(error instanceof HostError) || error.failure.code !== "unreachable" || isOver()) throw error;
        this.#spacing = SPACING_MS;
        onStatus?.(`no new connection yet (${error.failure.reason}); trying until the deadline`);
        // Every packet of a dial that got no answer counts against a limit, so that it needs a pause of the same length.
        const { isLimited = false } = error.failure;
        const pause = isLimited ? limitedPauseMs() : Math.min(Math.max(Date.now() - started, 250 * 2 ** attempt), 15_000);
        await sleep(pause, undefined, { signal: deadline }).catch(() => undefined);
        if (isOver()) throw error;
      } finally {
        clearTimeout(slow);
      }
    }
  }

  /** The key that accept-new saw first is the only one that it takes from then on. */
  async #dial(
    deadline: AbortSignal,
    { dialErrorLimit, onStatus }: { dialErrorLimit?: number; onStatus?: ((text: string) => void) | undefined },
  ): Promise<SshConnection> {
    const { connection: hops } = this.#target;
    const target = dialErrorLimit === undefined ? this.#target : { ...this.#target, connection: { ...hops, dialErrorLimit } };
    const connection = await openSsh(target, deadline, {
      mayTryOwn: this.#onOwn !== undefined,
      onLimited: () => {
        this.#spacing = SPACING_MS;
        onStatus?.("no new connection yet; trying again, since sshd drops some while it has too many");
      },
    });
    this.#lastDial = Date.now();
    if (connection.by) {
      this.#onOwn?.(connection.by.what);
      this.#target = withOwn(this.#target, connection.by);
    }
    this.#target = { ...this.#target, pinnedHostKey: connection.hostKey };
    return connection;
  }

  async #exec(command: string, stdin: Buffer, options: CallOptions, heard: Heard): Promise<ExecResult> {
    const { step, onStatus, deadline } = options;
    const connection = await this.#connected(deadline, onStatus);
    this.#calls.set(connection, (this.#calls.get(connection) ?? 0) + 1);
    const onStderrLine = (line: string) => {
      const news = readNews(line);
      if (news !== undefined) onStatus?.(news);
    };
    try {
      const begun = this.#takeBegun(command, connection);
      if (begun) {
        begun.onStderrLine = onStderrLine;
        begun.give(stdin);
        return await begun.result;
      }
      return await connection.exec(command, stdin, {
        step,
        deadlineSeconds: STEP_SECONDS,
        ...(deadline === undefined ? {} : { deadline }),
        ...heard,
        onStderrLine,
      });
    } catch (error) {
      if (error instanceof BadAnswer) throw this.#badAnswer(step, error);
      throw this.#cancelled ? this.#failure("unreachable", step, "the run was cancelled") : error;
    } finally {
      this.#calls.set(connection, (this.#calls.get(connection) ?? 1) - 1);
      if ((await this.#connection?.catch(() => undefined)) !== connection) this.#closeIfIdle(connection);
    }
  }

  /** What was begun, where it is this command and still waits; else it gets an end instead of its input, which does nothing. */
  #takeBegun(command: string, connection: SshConnection): Begun | undefined {
    const begun = this.#begun;
    if (begun?.command !== command) return undefined;
    this.#begun = undefined;
    if (begun.connection === connection && !begun.hasFailed && !connection.isClosed()) return begun;
    begun.give(Buffer.alloc(0));
    return undefined;
  }

  #commandLine(command: Command): string {
    const { digest, version } = hostProgram();
    return this.#asRoot(`${PROGRAM} ${command} "$SSH_CONNECTION" ${digest} ${LAYOUT} ${version}`);
  }

  #asRoot(command: string): string {
    return `${this.#target.become ? "sudo -n " : ""}${command}`;
  }

  #closeIfIdle(connection: SshConnection): void {
    if ((this.#calls.get(connection) ?? 0) > 0) return;
    this.#calls.delete(connection);
    connection.close();
  }

  async #greeted(command: Command, stdin: Buffer, options: CallOptions): Promise<Greeted> {
    const result = await this.#exec(this.#commandLine(command), stdin, options, heardOf(command));
    try {
      return { ...result, ...readGreeting(result.stdout) };
    } catch (error) {
      throw error instanceof BadAnswer ? this.#badAnswer(options.step, error) : error;
    }
  }

  #payload(result: Greeted, step: string): Buffer {
    if (result.code === 0) return result.payload;
    const { code, reason } = readFailure(result.stderr);
    throw this.#failure(code, step, reason || `drawbridge-host ended with ${result.code}`);
  }

  async #installProgram({ greeting, stderr }: Greeted, step: string): Promise<void> {
    if (greeting && greeting.layout > LAYOUT) {
      const wayOut = `Upgrade here: npm install pulumi-drawbridge@^${greeting.version}`;
      throw this.#failure(
        "layout",
        step,
        `the host was set up by pulumi-drawbridge ${greeting.version}, this is ${hostProgram().version}`,
        wayOut,
      );
    }
    const upgrade = [`${PROGRAM} upgrade`, "upgraded"] as const;
    const install = [INSTALL, "installed"] as const;
    let result: ExecResult = { code: 1, stdout: Buffer.alloc(0), stderr };
    // A sweep may have taken the program away since it answered.
    for (const [command, done] of greeting ? [upgrade, install] : [install]) {
      result = await this.#exec(
        this.#asRoot(command),
        hostProgram().text,
        { step: "install drawbridge-host" },
        { stdoutBytes: LIMITS.answerBytes },
      );
      if (result.code === 0 && result.stdout.toString("utf8").trimEnd().endsWith(done)) return;
      if (!saysFailure(result.stderr)) continue;
      const { code, reason } = readFailure(result.stderr);
      throw this.#failure(code, "install drawbridge-host", reason);
    }
    throw this.#installFailure({ ...result, stderr: result.stderr || stderr }, greeting !== undefined);
  }

  /** Why the program could not be put there, where it does not say so itself; `isSpeaking`: an earlier one has answered. */
  #installFailure({ code, stdout, stderr }: ExecResult, isSpeaking: boolean): HostError {
    const step = "install drawbridge-host";
    const said = printableLine(stderr.trim().split("\n").at(-1) ?? "");
    const { user = "root" } = this.#target.connection;
    const [, uid] = /^begun (\d+)$/m.exec(stdout.toString("utf8")) ?? [];
    // A sudo that refuses says so; a shell that is none says nothing.
    if (uid === undefined && !isSpeaking && this.#target.become === true && said !== "") {
      return code === NOT_FOUND
        ? this.#failure(
            "sudo",
            step,
            `there is no sudo on this host (${said})`,
            "Install the package sudo, or connect as root without `become`.",
          )
        : this.#failure("sudo", step, `\`sudo -n\` is refused for ${user} (${said})`, sudoLines(user));
    }
    if (uid !== undefined && uid !== "0") {
      return this.#failure(
        "not-root",
        step,
        `${user} may not write ${PROGRAM}`,
        "Set `become: true` beside `connection` (it uses sudo -n), or connect as root.",
      );
    }
    if (uid !== undefined)
      return this.#failure("not-writable", step, said, "Make room, or remount the file system for writing; nothing was changed.");
    return this.#failure("internal", step, said || "no answer");
  }

  #badAnswer(step: string, { message }: BadAnswer): HostError {
    const wayOut =
      "Something on the way or on the host speaks in the place of drawbridge-host, or the host is broken. Look at it at its console before you trust it.";
    return this.#failure("bad-answer", step, `the host's answer is not one of drawbridge-host: ${message}`, wayOut);
  }

  #failure(code: ErrorCode, step: string, reason: string, wayOut?: string): HostError {
    return new HostError({ code, host: this.name, step, reason, ...(wayOut === undefined ? {} : { wayOut }) });
  }
}

function heardOf(command: Command): Heard {
  return {
    stdoutBytes: LOOKS.includes(command) ? LIMITS.archiveBytes : LIMITS.answerBytes,
    firstByteSeconds: LIMITS.greetingSeconds,
  };
}

/** What gives a user the right that he lacks. */
function sudoLines(user: string): string {
  const file = `/etc/sudoers.d/${user.replace(/[^A-Za-z0-9_-]/g, "-")}`;
  return [
    `sudo must let ${user} work without a password. On the host's console, as root:`,
    `  echo '${user} ALL=(root) NOPASSWD: ALL' > ${file} && chmod 440 ${file}`,
    `Or, for the one program only, put \`npx drawbridge program\` to ${PROGRAM} (root, 0755) and allow`,
    `  ${user} ALL=(root) NOPASSWD: ${PROGRAM}`,
    "Either right equals root: that program writes sudo rights, and puts a later version of itself in its place, as it is told.",
  ].join("\n");
}

interface Greeted extends ExecResult {
  readonly payload: Buffer;
  readonly greeting: Greeting | undefined;
}

function isLost(error: unknown): boolean {
  return error instanceof HostError && error.failure.isLost === true;
}
