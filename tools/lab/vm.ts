import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fingerprintOf } from "./fingerprint";
import { frameScript } from "./frame";
import { startGuest } from "./guest";
import type { LabHost } from "./host";
import { type Enter, execute, executeOrThrow, type RunOptions, runScript } from "./process";
import { forgetNeighbours, gateways, macsBehind, type Place, takePlace } from "./switch";
import { clientKeyPath, world } from "./world";

/** How a virtual machine is set up. */
export interface VmOptions {
  /** the Debian it runs: bookworm unless given, with ifupdown; trixie has systemd-networkd */
  readonly suite?: "bookworm" | "trixie";
}

/** A machine with a kernel, systemd and udev of its own, emulated: whatever a lab host's shared kernel and missing init cannot show. */
export interface Vm extends Omit<LabHost, "pid" | "files" | "outside"> {
  /** Shuts down in order and returns when it is up again. */
  reboot(): Promise<void>;
  /** Cuts the power, and returns when it is up again. What the machine had not written to its disk is lost. */
  cutPower(): Promise<void>;
}

const bootSeconds = 240;

/** Boots a virtual machine on a throw-away copy of the disk of its suite. Works only under `node tools/in-lab.mjs`. */
export async function startVm(options: VmOptions = {}): Promise<Vm> {
  const folder = world();
  const image = findImage(folder, options.suite ?? "bookworm");
  const place = takePlace(folder);
  mkdirSync(place.folder, { recursive: true });
  const hostKey = readFileSync(join(image, "host-key.pub"), "utf8").split(" ").slice(0, 2).join(" ");
  writeFileSync(join(place.folder, "known-hosts"), `${place.address} ${hostKey}\n`);
  await executeOrThrow(
    ["ip", "-batch", "-"],
    `tuntap add dev ${place.port} mode tap\nlink set dev ${place.port} master labsw up\n`,
  );
  const machine = new Machine(place, image, await copyOfDisk(image));
  try {
    await machine.start();
    return vmOf(place, machine, hostKey);
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

function findImage(folder: string, suite: string): string {
  try {
    return readlinkSync(join(folder, "vms", suite));
  } catch {
    throw new Error(
      `no image of a Debian ${suite} machine was there when the lab was entered; make it with: node tools/setup.mjs vm ${suite}`,
    );
  }
}

/** A file without a name, which ends with this process. */
async function copyOfDisk(image: string): Promise<number> {
  // Labs that run side by side have the same names and process numbers in them.
  const folder = mkdtempSync(join(tmpdir(), "drawbridge-"));
  const copy = join(folder, "disk.img");
  try {
    await executeOrThrow(["cp", "--sparse=always", "--reflink=auto", join(image, "disk.img"), copy]);
    return openSync(copy, "r+");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// qemu 7.2 emulates cmpxchg16b wrongly now and then, which breaks the allocator of newer kernels, and a fast copy byte by byte.
const processor = "max,cx16=off,erms=off,fsrm=off";

function launch(place: Place, image: string, disk: number): ChildProcess {
  const [gateway, gateway6] = gateways;
  const kernelArguments = [
    "root=/dev/nvme0n1 rw console=ttyS0 net.ifnames=0 quiet loglevel=4 systemd.show_status=0 mitigations=off audit=0 apparmor=0 selinux=0",
    // The emulator translates code anew at each address that it runs at: with programs at random addresses everything takes four times as long.
    "norandmaps",
    // A kernel that has panicked ends the emulator, and with it whoever waits.
    "panic=-1",
    // An emulated machine has nothing else to gather randomness from.
    "random.trust_cpu=on",
    `lab.address=${place.address}/16 lab.gateway=${gateway} lab.address6=${place.address6}/64 lab.gateway6=${gateway6}`,
  ];
  const options = [
    // One processor: tests run two machines side by side, and what one emulated processor costs is least when no other looks on.
    ...["-accel", "tcg,thread=single", "-smp", "1", "-cpu", processor, "-m", "1024", "-display", "none", "-nodefaults"],
    // Each boot is a new emulator's, so that one way leads to both reboot and power cut.
    "-no-reboot",
    ...["-serial", `file:${join(place.folder, "console")}`, "-monitor", "none"],
    ...["-kernel", join(image, "vmlinuz"), "-append", kernelArguments.join(" ")],
    ...["-drive", "file=/proc/self/fd/3,if=none,id=disk,format=raw", "-device", "nvme,drive=disk,serial=lab"],
    ...["-netdev", `tap,id=uplink,ifname=${place.port},script=no,downscript=no`],
    ...["-device", `virtio-net-pci,netdev=uplink,mac=${place.mac},romfile=`],
  ];
  const log = openSync(join(place.folder, "log"), "a");
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "qemu-system-x86_64", ...options], {
    // In a group of its own: Ctrl-C is for the test, which then still may look at the machine.
    detached: true,
    stdio: ["ignore", log, log, disk],
  });
  closeSync(log);
  child.unref();
  return child;
}

/** The emulator, and the one SSH connection that scripts run over. */
class Machine {
  private emulator: ChildProcess | undefined;
  private connection: ChildProcess | undefined;

  constructor(
    private readonly place: Place,
    private readonly image: string,
    private readonly disk: number,
  ) {}

  /** A key exchange takes seconds on such a machine, so that all scripts share one. */
  private readonly ssh = [
    ...["ssh", "-F", "none", "-i", clientKeyPath],
    ...["BatchMode=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR", "ConnectTimeout=20", "ServerAliveInterval=10"].flatMap(
      (option) => ["-o", option],
    ),
  ];
  private readonly shared = () => [
    ...this.ssh,
    ...["-o", `UserKnownHostsFile=${join(this.place.folder, "known-hosts")}`],
    ...["-o", `ControlPath=${join(this.place.folder, "ssh")}`],
  ];

  /** A script's command, to be run over the shared connection. */
  readonly enter: Enter = (command) => [...this.shared(), `root@${this.place.address}`, "--", command.map(quote).join(" ")];

  /** Returns when everything that boot starts has been started. */
  async start(): Promise<void> {
    const emulator = launch(this.place, this.image, this.disk);
    this.emulator = emulator;
    for (const end = Date.now() + bootSeconds * 1000; !(await this.connect()); await sleep(200)) {
      if (hasEnded(emulator)) throw new Error(`the emulator ended\n${this.log().slice(-4000)}`);
      if (Date.now() > end) throw new Error(`waited in vain for the machine to boot\n${this.log().slice(-4000)}`);
    }
    await runScript(this.enter, "systemctl is-system-running --wait", { allowFailure: true, timeoutSeconds: bootSeconds });
  }

  /** Returns when the machine has ended by itself. */
  async ended(): Promise<void> {
    this.disconnect();
    for (const end = Date.now() + bootSeconds * 1000; !this.emulator || !hasEnded(this.emulator); await sleep(50)) {
      if (Date.now() > end) throw new Error(`waited in vain for the machine to shut down\n${this.log().slice(-4000)}`);
    }
  }

  /** Ends the machine as it stands. */
  async cut(): Promise<void> {
    this.disconnect();
    const { emulator } = this;
    if (!emulator || hasEnded(emulator)) return;
    emulator.ref();
    const gone = once(emulator, "exit");
    emulator.kill("SIGKILL");
    await gone;
  }

  /** Whether there is a shared connection now. */
  private async connect(): Promise<boolean> {
    const target = `root@${this.place.address}`;
    const control = ["-o", "ControlMaster=yes", "-N", target];
    const [program = "", ...args] = [...this.shared(), ...control];
    const connection = spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], { stdio: "ignore" });
    connection.unref();
    this.connection = connection;
    for (const end = Date.now() + 30_000; Date.now() < end && !hasEnded(connection); await sleep(100)) {
      const { code } = await execute([...this.shared(), "-O", "check", target]);
      if (code === 0) return true;
    }
    this.disconnect();
    return false;
  }

  private disconnect(): void {
    this.connection?.kill("SIGKILL");
    this.connection = undefined;
    rmSync(join(this.place.folder, "ssh"), { force: true });
  }

  async stop(): Promise<void> {
    const macs = await macsBehind(this.place.port);
    await this.cut();
    closeSync(this.disk);
    await execute(["ip", "link", "delete", this.place.port]);
    await forgetNeighbours(macs);
    rmSync(this.place.folder, { recursive: true, force: true });
  }

  /** What the emulator and the machine's serial line have said. */
  log(): string {
    return ["log", "console"].map((name) => read(join(this.place.folder, name))).join("\n");
  }
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

function vmOf(place: Place, machine: Machine, hostKey: string): Vm {
  // Everything takes its time there.
  const run = (script: string, options?: RunOptions) => runScript(machine.enter, script, { timeoutSeconds: 180, ...options });
  return {
    name: place.name,
    address: place.address,
    address6: place.address6,
    hostKey,
    run,
    guest: (options) => startGuest(run, options),
    sendFrame: async (interfaceName, frame) => {
      await run(frameScript(interfaceName, frame));
    },
    fingerprint: () => fingerprintOf(run),
    log: () => machine.log(),
    reboot: async () => {
      await run("systemctl reboot", { allowFailure: true });
      await machine.ended();
      await machine.start();
    },
    cutPower: async () => {
      await machine.cut();
      await machine.start();
    },
    down: () => machine.stop(),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
