import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fingerprintOf } from "./fingerprint";
import { frameScript } from "./frame";
import { addressLine, type GuestOptions, type LabGuest, startGuest } from "./guest";
import { type Enter, execute, executeOrThrow, type RunOptions, type RunResult, runScript, until } from "./process";
import { forgetNeighbours, gateways, macsBehind, type Place, takePlace } from "./switch";
import { world } from "./world";

/** How a lab host is set up. */
export interface HostOptions {
  /** the Debian it runs, as tools/setup.mjs makes its root; bookworm unless given */
  readonly suite?: "bookworm" | "bookworm-python" | "trixie";
  /** "routed" (unless given): eth0 carries the address; "bridged": eth0 is a port of br0, which carries it */
  readonly uplink?: "routed" | "bridged";
  /** as for `sshd -o`, such as "MaxSessions=2" */
  readonly sshdOptions?: readonly string[];
  /** further addresses of the uplink, with their prefix lengths */
  readonly addresses?: readonly string[];
  /** its host name; made up unless given */
  readonly name?: string;
}

/** A Linux host of its own: network, users, files and sshd, apart from the machine's and from every other lab host's. */
export interface LabHost {
  readonly name: string;
  readonly address: string;
  readonly address6: string;
  /** the public key of its sshd, "ssh-ed25519 AAAA…" */
  readonly hostKey: string;
  /** its first process, as seen from outside */
  readonly pid: number;
  /** The folder in which its files are seen from outside, without running anything on it; a link with an absolute target leads astray. */
  readonly files: string;
  /** Runs a /bin/sh script on the host, as root unless `user` is given. */
  run(script: string, options?: RunOptions): Promise<RunResult>;
  /** Runs a script with the host's programs and files, but in the network of the outside world. */
  outside(script: string, options?: RunOptions): Promise<RunResult>;
  /** Starts a network namespace inside the host, joined to it by a veth. */
  guest(options: GuestOptions): Promise<LabGuest>;
  /** Sends one raw ethernet frame out of an interface of the host. */
  sendFrame(interfaceName: string, frame: Buffer): Promise<void>;
  /** Everything that could be changed from outside by way of SSH, as stable lines: equal texts mean that nothing has changed. */
  fingerprint(): Promise<string>;
  /** What its sshd and its first process have written so far. */
  log(): string;
  /**
   * Power off and on: memory, interfaces and processes are gone, the disk is kept. What Drawbridge has on it is loaded before the network
   * is there, as its units would; guests come again when the test starts them.
   */
  reboot(): Promise<void>;
  /** Ends the host and everything in it. */
  down(): Promise<void>;
}

/** Starts a lab host and waits until its sshd answers. Works only under `node tools/in-lab.mjs`. */
export async function startHost(options: HostOptions = {}): Promise<LabHost> {
  const folder = world();
  const suite = options.suite ?? "bookworm";
  const root = findRoot(folder, suite);
  const place = takePlace(folder, options.name);
  mkdirSync(join(place.folder, "memory"), { recursive: true });
  await executeOrThrow(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", place.name, "-f", join(place.folder, "host-key")]);
  const hostKey = readFileSync(join(place.folder, "host-key.pub"), "utf8").split(" ").slice(0, 2).join(" ");
  // Overlay options cannot quote a colon or a comma in a path; names relative to the folder have none.
  symlinkSync(root, join(place.folder, "image"));
  // Its disk, which outlives a reboot since it is mounted here too; small, so that it is filled in a moment.
  await executeOrThrow(["mount", "-t", "tmpfs", "-o", "mode=755,size=512m", "tmpfs", join(place.folder, "memory")]);
  const running = await boot(place, options).catch(async (error: unknown) => {
    await discard(place);
    throw error;
  });
  return hostOf(place, options, running, hostKey);
}

/** A host's processes: those that hold its namespaces, and its first one as seen from outside. */
interface Running {
  readonly namespaces: ChildProcess;
  readonly pid: number;
}

async function boot(place: Place, options: HostOptions): Promise<Running> {
  const namespaces = launch(place, options);
  try {
    const pid = await plugIn(place, namespaces, options);
    await untilReady(place, namespaces);
    return { namespaces, pid };
  } catch (error) {
    await powerOff(place, { namespaces });
    throw error;
  }
}

function findRoot(folder: string, suite: string): string {
  try {
    return readlinkSync(join(folder, "roots", suite));
  } catch {
    throw new Error(
      `no root image of Debian ${suite} was there when the lab was entered; make it with: node tools/setup.mjs root ${suite}`,
    );
  }
}

function launch(place: Place, options: HostOptions): ChildProcess {
  const log = openSync(join(place.folder, "log"), "w");
  const sshdOptions = (options.sshdOptions ?? []).flatMap((option) => ["-o", option]);
  const init = ["sh", join(__dirname, "host-init.sh"), "image", ".", place.name, ...sshdOptions];
  const fresh = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=SIGKILL", "--propagation", "private"];
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", ...fresh, ...init], {
    cwd: place.folder,
    // In a group of its own: Ctrl-C is for the test, which then still may look at the host.
    detached: true,
    stdio: ["pipe", log, log],
  });
  closeSync(log);
  child.stdin?.on("error", () => undefined);
  // A host that was forgotten ends with this process; it must not keep the process from ending.
  child.unref();
  return child;
}

/** Answers the host's first process, once it has a network card with the addresses it shall have. */
async function plugIn(place: Place, namespaces: ChildProcess, options: HostOptions): Promise<number> {
  const outer = namespaces.pid;
  if (outer === undefined) throw new Error("could not start setpriv and unshare");
  const details = () => logOf(place);
  const ours = readlinkSync("/proc/self/ns/net");
  await until(
    "the host's network namespace",
    () => {
      mustLive(place, namespaces);
      const theirs = attempt(() => readlinkSync(`/proc/${outer}/ns/net`));
      return theirs === ours ? undefined : theirs;
    },
    { details },
  );
  const card = `address ${place.mac}`;
  await executeOrThrow(
    ["ip", "-batch", "-"],
    `link add ${place.port} type veth peer name eth0 ${card} netns ${outer}\nlink set dev ${place.port} master labsw up\n`,
  );
  namespaces.stdin?.end(`${uplinkLines(place, options, card).join("\n")}\n`);
  const pid = await until(
    "the host's first process",
    () => attempt(() => readFileSync(`/proc/${outer}/task/${outer}/children`, "utf8").trim()) || undefined,
    { details },
  );
  return Number(pid);
}

function uplinkLines(place: Place, options: HostOptions, card: string): string[] {
  const bridged = options.uplink === "bridged";
  const uplink = bridged ? "br0" : "eth0";
  const bridge = [
    `link add br0 ${card} type bridge stp_state 0 forward_delay 0`,
    "link set dev eth0 master br0",
    "link set dev br0 up",
  ];
  const addresses = [`${place.address}/16`, `${place.address6}/64`, ...(options.addresses ?? [])];
  return [
    "link set dev lo up",
    "link set dev eth0 up",
    ...(bridged ? bridge : []),
    ...addresses.map((address) => addressLine(address, uplink)),
    ...gateways.map((gateway) => `route add default via ${gateway} dev ${uplink}`),
  ];
}

async function untilReady(place: Place, namespaces: ChildProcess): Promise<void> {
  const details = () => logOf(place);
  await until(
    "the host's sshd",
    () => {
      mustLive(place, namespaces);
      return /^ready$/m.test(logOf(place)) || undefined;
    },
    { details },
  );
}

function hostOf(place: Place, options: HostOptions, booted: Running, hostKey: string): LabHost {
  let running = booted;
  const filesOnly = () => ["nsenter", "-t", String(running.pid), "--mount", "--uts", "--ipc", "--pid"];
  const enterFiles: Enter = (command) => [...filesOnly(), ...command];
  const enter: Enter = (command) => [...filesOnly(), "--net", ...command];
  const run = (script: string, runOptions?: RunOptions) => runScript(enter, script, runOptions);
  return {
    name: place.name,
    address: place.address,
    address6: place.address6,
    hostKey,
    get pid() {
      return running.pid;
    },
    get files() {
      return `/proc/${running.pid}/root`;
    },
    run,
    outside: (script, runOptions) => runScript(enterFiles, script, runOptions),
    guest: (guestOptions) => startGuest(run, guestOptions),
    sendFrame: async (interfaceName, frame) => {
      await run(frameScript(interfaceName, frame));
    },
    fingerprint: () => fingerprintOf(run),
    log: () => wholeLogOf(place),
    reboot: async () => {
      await powerOff(place, running);
      running = await boot(place, options);
    },
    down: async () => {
      await powerOff(place, running);
      await discard(place);
    },
  };
}

async function powerOff(place: Place, { namespaces, pid }: Pick<Running, "namespaces"> & Partial<Running>): Promise<void> {
  namespaces.ref();
  const gone = new Promise<void>((resolve) => {
    if (namespaces.exitCode !== null || namespaces.signalCode !== null) resolve();
    else namespaces.once("exit", () => resolve());
  });
  const macs = await macsBehind(place.port);
  // Ending the first process ends all others; unshare waits for it, so that nothing runs any more when unshare has ended.
  if (pid !== undefined) attempt(() => process.kill(pid, "SIGKILL"));
  else namespaces.kill("SIGKILL");
  await gone;
  // The kernel takes a veth away some time after its namespace; a test should not see it any more now.
  await execute(["ip", "link", "delete", place.port]);
  await forgetNeighbours(macs);
}

async function discard(place: Place): Promise<void> {
  await execute(["umount", "--lazy", join(place.folder, "memory")]);
  rmSync(place.folder, { recursive: true, force: true });
}

function mustLive(place: Place, namespaces: ChildProcess): void {
  if (namespaces.exitCode === null && namespaces.signalCode === null) return;
  throw new Error(`the lab host ended while it started\n${logOf(place)}`);
}

function logOf(place: Place): string {
  return wholeLogOf(place).slice(-4000);
}

function wholeLogOf(place: Place): string {
  return readFileSync(join(place.folder, "log"), "utf8");
}

function attempt<Answer>(work: () => Answer): Answer | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
