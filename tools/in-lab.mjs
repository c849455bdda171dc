// `node tools/in-lab.mjs COMMAND ARGS…` runs COMMAND in a throw-away "outside world": a network namespace with one switch, from which nothing can
// leave the machine. The lab's hosts (tools/lab) are started in there.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached, cacheFolder } from "./cache.mjs";
import { Advice, main } from "./progress.mjs";
import {
  ensureLabRoot,
  ensureSystemPackages,
  labKeysFolder,
  labRootFolder,
  labRootNames,
  rootPrefix,
  vmImageFolder,
} from "./setup.mjs";

const self = fileURLToPath(import.meta.url);
const insideMark = "DRAWBRIDGE_LAB_INSIDE";
const callerMark = "DRAWBRIDGE_LAB_CALLER";
const passedToRoot = ["HOME", "PATH", "TERM", "LANG", "CI", "NO_COLOR", "FORCE_COLOR"];
const controlDescriptor = 3;
const systemFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

// The outer network is bound to a file before /proc shows the new process namespace only.
const enterWorld = `
mount -t tmpfs -o mode=755 tmpfs "$1"
: >"$1/outer-net"
mount --bind /proc/self/ns/net "$1/outer-net"
shift
exec unshare --net --pid --fork --kill-child=SIGKILL --mount-proc "$@"`;

await main(async () => {
  const command = process.argv.slice(2);
  if (command.length === 0) throw new Advice("usage: node tools/in-lab.mjs COMMAND ARGS…");
  const world = process.env[insideMark];
  if (world) return runInside(world, command);
  if (!process.env[callerMark]) {
    await ensureSystemPackages();
    await ensureLabRoot("bookworm");
  }
  if (process.getuid() === 0) runAsRoot(command);
  else await runThroughSudo(command);
});

async function runThroughSudo(command) {
  const kept = Object.entries(process.env).filter(([name]) => passedToRoot.includes(name) || name.startsWith("DRAWBRIDGE_"));
  const environment = kept.map(([name, value]) => `${name}=${value}`);
  environment.push(`DRAWBRIDGE_CACHE=${cacheFolder()}`, `${callerMark}=${process.pid}`);
  const [sudo] = await rootPrefix(`node tools/in-lab.mjs ${command.join(" ")}`);
  const child = spawn(sudo, ["env", ...environment, process.execPath, self, ...command], { stdio: "inherit" });
  follow(child, (signal) => child.kill(signal));
}

/** Starts this file once more as the first process of the world's process namespace, which ends whatever else runs in it when it ends. */
function runAsRoot(command) {
  const world = cached("lab", "world");
  mkdirSync(world, { recursive: true });
  const shell = ["sh", "-euc", enterWorld, "sh", world, process.execPath, self, ...command];
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", ...shell], {
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    // What sudo hands on is a plain user's path.
    env: {
      ...process.env,
      PATH: [...new Set([...(process.env.PATH ?? "").split(delimiter), ...systemFolders])].join(delimiter),
      [insideMark]: world,
    },
  });
  follow(child, (signal) => child.stdio[controlDescriptor].write(`${signal}\n`));
  exitWithCaller();
}

async function runInside(world, command) {
  await buildWorld(world);
  const { [insideMark]: inside, [callerMark]: caller, ...environment } = process.env;
  const child = spawn(command[0], command.slice(1), {
    stdio: "inherit",
    env: { ...environment, DRAWBRIDGE_LAB: world, DRAWBRIDGE_LAB_OUTER_NET: join(world, "outer-net") },
  });
  const control = new Socket({ fd: controlDescriptor });
  control.on("data", (text) => {
    for (const signal of String(text).trim().split("\n")) child.kill(signal);
  });
  control.on("error", () => undefined);
  control.unref();
  follow(child, () => undefined);
}

async function buildWorld(world) {
  for (const part of ["hosts", "numbers", "roots", "vms"]) mkdirSync(join(world, part));
  symlinkSync(labKeysFolder(), join(world, "keys"));
  for (const name of labRootNames) {
    const root = await labRootFolder(name);
    if (existsSync(root)) symlinkSync(root, join(world, "roots", name));
  }
  for (const suite of ["bookworm", "trixie"]) {
    const vm = await vmImageFolder(suite);
    if (existsSync(vm)) symlinkSync(vm, join(world, "vms", suite));
  }
  // Its own address: a bridge otherwise takes the lowest one of its ports, and would change it as hosts come and go.
  const lines = [
    "link set lo up",
    "link add labsw address 02:db:00:00:00:01 type bridge stp_state 0 forward_delay 0",
    "addr add 198.18.0.1/16 dev labsw",
    "addr add 2001:db8:77::1/64 dev labsw nodad",
    "link set labsw up",
  ];
  execFileSync("ip", ["-batch", "-"], { input: `${lines.join("\n")}\n` });
  for (const [name, value] of [
    ["ipv4/ip_forward", 1],
    ["ipv6/conf/all/forwarding", 1],
    ["ipv4/conf/all/rp_filter", 0],
    ["ipv4/conf/labsw/rp_filter", 0],
  ]) {
    writeFileSync(`/proc/sys/net/${name}`, `${value}\n`);
  }
}

/** Ends as the child ends, and hands it the signals that come to this process alone. */
function follow(child, send) {
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => send(signal));
  // The terminal sends Ctrl-C to all of its foreground processes, the child included; a second one would make some of them give up at once.
  process.on("SIGINT", () => process.stdin.isTTY || send("SIGINT"));
  child.on("error", (error) => {
    console.error(error.message);
    process.exit(127);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** sudo outlives a caller that was killed, and so would everything behind it. */
function exitWithCaller() {
  const caller = Number(process.env[callerMark]);
  if (!caller) return;
  setInterval(() => existsSync(`/proc/${caller}`) || process.exit(1), 500).unref();
}
