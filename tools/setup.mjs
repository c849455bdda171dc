// Brings in what the tests and the demo need and the machine lacks. Plain Node: it runs before `npm ci`.
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, chmod, copyFile, mkdir, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { cached, cacheFolder } from "./cache.mjs";
import { Advice, during, main, quietly } from "./progress.mjs";

const tools = dirname(fileURLToPath(import.meta.url));
const project = dirname(tools);

/** The commands that the lab, the lint and the tests start, and the Debian package that has each. */
const systemCommands = {
  mmdebstrap: "mmdebstrap",
  tar: "tar",
  ip: "iproute2",
  ssh: "openssh-client",
  "ssh-keygen": "openssh-client",
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  pivot_root: "util-linux",
  mount: "mount",
  shellcheck: "shellcheck",
};

/** Those on which the table-maker is tested, beside each other: any of them may be a host's awk. */
const awkCommands = { mawk: "mawk", gawk: "gawk", busybox: "busybox", "original-awk": "original-awk" };

const rootPackages = [
  "arptables",
  "bridge-utils",
  "conntrack",
  "ebtables",
  "ifupdown",
  "ipset",
  "iproute2",
  "iptables",
  "iputils-arping",
  "iputils-ping",
  "kmod",
  "netbase",
  "netcat-openbsd",
  "nftables",
  "openssh-server",
  "perl-base",
  "procps",
  "sudo",
  "tcpdump",
  "util-linux-extra",
];

/** The roots of lab hosts: the Debian suite of each, and what is installed in it. Ansible wants Python on a host. */
const labRoots = {
  bookworm: { suite: "bookworm", packages: rootPackages },
  "bookworm-python": { suite: "bookworm", packages: [...rootPackages, "python3"] },
  trixie: { suite: "trixie", packages: rootPackages },
};

const ansibleVersion = "2.19.14";

/** Those that the tests on virtual machines need beside them. */
const vmCommands = { "qemu-system-x86_64": "qemu-system-x86", mke2fs: "e2fsprogs", dpkg: "dpkg" };

/** What a root needs beside `rootPackages` to boot by itself, and the other programs that load rules at boot. */
const vmPackages = ["dbus", "iptables-persistent", "netfilter-persistent", "systemd", "systemd-sysv", "udev"];

/** Installs the Debian packages whose commands are missing; `awks`, `vm` and `python`: with what those tests, or the bench, need. */
export async function ensureSystemPackages({ awks = false, vm = false, python = false } = {}) {
  const missing = [];
  const commands = { ...systemCommands, ...(awks ? awkCommands : {}), ...(vm ? vmCommands : {}) };
  for (const [command, name] of Object.entries(commands)) {
    if (!(await findCommand(command)) && !missing.includes(name)) missing.push(name);
  }
  if (python && !(await hasPythonWithPip())) missing.push("python3-venv");
  if (missing.length === 0) return;
  const install = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (!(await findCommand("apt-get"))) {
    throw new Advice(
      `missing here: ${missing.join(", ")} (names of the Debian packages). Install them with this system's package manager.`,
    );
  }
  const asRoot = await rootPrefix(`apt-get update && ${install}`);
  await during(
    `missing on this machine, needed for the tests and the lint: ${missing.join(", ")}; installing by apt-get`,
    async () => {
      const environment = ["env", "DEBIAN_FRONTEND=noninteractive"];
      await run([...asRoot, ...environment, "apt-get", "update"]);
      await run([...asRoot, ...environment, ...install.split(" ")]);
    },
  );
}

/** Runs `npm ci` when node_modules is missing or older than the lock file. */
export async function ensureNpmPackages() {
  const lock = await modified(join(project, "package-lock.json"));
  const installed = await modified(join(project, "node_modules", ".package-lock.json"));
  if (installed !== undefined && lock !== undefined && installed >= lock) return;
  const why = installed === undefined ? "node_modules is missing" : "node_modules is older than package-lock.json";
  await during(`${why}; running npm ci`, () => run(["npm", "ci"], { cwd: project }));
}

/** Fails, before anything is changed, when the Pulumi CLI is neither here nor can be built here. */
export async function checkPulumiPossible() {
  if ((await pulumiOnPath()) || (await exists(join(await pulumiFolder(), "pulumi"))) || (await newEnoughGo())) return;
  throw new Advice(
    "The Pulumi CLI is missing, and there is no Go of 1.21 or later to build it with. Install it and try again:\n" +
      "  curl -fsSL https://get.pulumi.com | sh\n" +
      'and put it on PATH: export PATH="$HOME/.pulumi/bin:$PATH"',
  );
}

/** The folder that holds `pulumi`, its language host for Node and its dynamic provider; builds them from Go modules when they are not on PATH. */
export async function ensurePulumi() {
  const installed = await pulumiOnPath();
  if (installed) return installed;
  await checkPulumiPossible();
  const folder = await pulumiFolder();
  if (!(await exists(join(folder, "pulumi")))) {
    const draft = `${folder}.${process.pid}`;
    await mkdir(draft, { recursive: true });
    await during(
      "the Pulumi CLI is missing, needed to run Pulumi programs; building its language host from Go modules (about 1 minute)",
      () => goBuild("pulumi-language-nodejs", "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs", draft),
    );
    await during("building the Pulumi CLI from Go modules (about 5 minutes, once)", () =>
      goBuild("pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", draft),
    );
    await moveIntoPlace(draft, folder);
  }
  await copyDynamicProvider(folder);
  return folder;
}

/** The prepared root file system of the lab's hosts ("bookworm", "bookworm-python" or "trixie"), unpacked in the cache. */
export async function ensureLabRoot(name) {
  const keys = await ensureLabKeys();
  const root = await labRootFolder(name);
  if (await exists(root)) return root;
  await mkdir(dirname(root), { recursive: true });
  const { suite, packages } = labRoots[name];
  const archive = cached("lab", `${name}-${hash(name, ...packages)}.tar`);
  const asRoot = await rootPrefix(`node tools/setup.mjs root ${name}`);
  if (!(await exists(archive))) {
    const draft = `${archive}.${process.pid}`;
    await during(
      `the root image of the lab's Debian ${name} hosts is missing; building it with mmdebstrap (about 30 seconds)`,
      async () => {
        await run([...asRoot, ...(await mmdebstrap(packages, "--format=tar")), suite, draft, ...(await mirror())]);
      },
    );
    await rename(draft, archive);
  }
  await during(`preparing the root of the lab's Debian ${name} hosts`, async () => {
    const draft = `${root}.${process.pid}`;
    await mkdir(draft);
    await run([...asRoot, "tar", "-C", draft, "--numeric-owner", "--xattrs", "--exclude=./dev/*", "-xf", archive]);
    await run([...asRoot, "sh", join(tools, "lab", "prepare-root.sh"), draft, `${keys}/client.pub`]);
    // Two set-ups may run at once: then the second finds the name taken.
    await run([...asRoot, "mv", "-T", draft, root]).catch(async (error) => {
      if (!(await exists(root))) throw error;
      await run([...asRoot, "rm", "-rf", draft]);
    });
  });
  return root;
}

/** The disk, the kernel and the host key of a virtual machine that runs a Debian suite, in a folder of the cache. */
export async function ensureVmImage(suite) {
  const keys = await ensureLabKeys();
  const folder = await vmImageFolder(suite);
  if (await exists(folder)) return folder;
  const asRoot = await rootPrefix(`node tools/setup.mjs vm ${suite}`);
  await during(
    `the disk image of the Debian ${suite} virtual machine is missing; building it with mmdebstrap (about 40 seconds)`,
    async () => {
      const draft = `${folder}.${process.pid}`;
      const root = join(draft, "root");
      await mkdir(draft, { recursive: true });
      const hook = `--customize-hook=sh '${join(tools, "lab", "fetch-kernel.sh")}' "$1"`;
      const bootstrap = await mmdebstrap([...rootPackages, ...vmPackages], "--format=directory", hook);
      await run([...asRoot, ...bootstrap, suite, root, ...(await mirror())]);
      await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vm", "-f", join(draft, "host-key")]);
      await run([...asRoot, "sh", join(tools, "lab", "prepare-root.sh"), root, `${keys}/client.pub`]);
      await run([...asRoot, "sh", join(tools, "lab", "prepare-vm.sh"), root, suite, join(draft, "host-key")]);
      await run([...asRoot, "mv", join(root, "boot", "vmlinuz"), draft]);
      await run([...asRoot, "mke2fs", "-q", "-t", "ext4", "-d", root, join(draft, "disk.img"), "1600M"]);
      await run([...asRoot, "rm", "-rf", root]);
      await moveIntoPlace(draft, folder);
    },
  );
  return folder;
}

/** Where `ensureVmImage` puts the machine of a suite; it is there or it is not. */
export async function vmImageFolder(suite) {
  const scripts = ["fetch-kernel.sh", "prepare-root.sh", "prepare-vm.sh"];
  const texts = await Promise.all(scripts.map((name) => readFile(join(tools, "lab", name), "utf8")));
  const key = await readFile(join(labKeysFolder(), "client.pub"), "utf8").catch(() => "");
  return cached("vm", `${suite}-${hash(suite, ...rootPackages, ...vmPackages, ...texts, key)}`);
}

/** The names of all roots that `ensureLabRoot` makes. */
export const labRootNames = Object.keys(labRoots);

/** Where `ensureLabRoot` puts a root; it is there or it is not. */
export async function labRootFolder(name) {
  const script = await readFile(join(tools, "lab", "prepare-root.sh"), "utf8");
  const key = await readFile(join(labKeysFolder(), "client.pub"), "utf8").catch(() => "");
  return cached("lab", `${name}-${hash(name, ...labRoots[name].packages, script, key)}`);
}

/** The folder of the SSH keys that all users of the lab's hosts accept. */
export function labKeysFolder() {
  return cached("lab", "keys");
}

/** The path of a node binary: "22" is the newest of its line, "20.19.0" just that one. */
export async function ensureNode(version) {
  const name = `node-${process.platform}-${process.arch}`;
  const folder = cached(`node-${version}`);
  const binary = join(folder, "node_modules", name, "bin", "node");
  if (await exists(binary)) return binary;
  const draft = `${folder}.${process.pid}`;
  await during(`Node ${version} is missing, needed to test on it; installing ${name}@${version} into the cache`, async () => {
    await mkdir(draft, { recursive: true });
    await run(["npm", "install", "--no-save", "--no-package-lock", "--prefix", draft, `${name}@${version}`]);
    await moveIntoPlace(draft, folder);
  });
  return binary;
}

/** The Python that has ansible-core, in an environment of its own; `-m ansible playbook` is its command. */
export async function ensureAnsible() {
  const folder = cached(`ansible-core-${ansibleVersion}`);
  const python = join(folder, "bin", "python");
  if (await exists(python)) return python;
  const draft = `${folder}.${process.pid}`;
  await during(`Ansible is missing, which the bench compares with; installing ansible-core ${ansibleVersion}`, async () => {
    await run(["python3", "-m", "venv", draft]);
    await run([join(draft, "bin", "python"), "-m", "pip", "install", "--quiet", `ansible-core==${ansibleVersion}`]);
    await moveIntoPlace(draft, folder);
  });
  return python;
}

/** `[]` for root, `["sudo"]` for a user who has it; otherwise an error that tells the line to run as root. */
export async function rootPrefix(line) {
  if (process.getuid?.() === 0) return [];
  if (await findCommand("sudo")) return ["sudo"];
  throw new Advice(`This needs root, and there is no sudo here. Run as root:\n  ${line}`);
}

async function ensureLabKeys() {
  const folder = labKeysFolder();
  if (await exists(folder)) return folder;
  const draft = `${folder}.${process.pid}`;
  await mkdir(draft, { recursive: true, mode: 0o700 });
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", `${draft}/client`]);
  await copyFile(`${draft}/client`, `${draft}/client-encrypted`);
  // One round: the key derivation in JavaScript takes half a minute for the usual sixteen when jest runs it.
  await run(["ssh-keygen", "-q", "-p", "-a", "1", "-P", "", "-N", "drawbridge", "-f", `${draft}/client-encrypted`]);
  await moveIntoPlace(draft, folder);
  return folder;
}

/** mmdebstrap with what all roots have in common; suite, target and mirror come behind it. */
async function mmdebstrap(packages, ...options) {
  const excluded = ["doc", "info", "locale", "man"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  const common = ["--variant=minbase", "--dpkgopt=force-unsafe-io", `--include=${packages.join(",")}`];
  return ["mmdebstrap", ...common, ...excluded, ...(await aptProxyOptions()), ...options];
}

/** The mirror of the machine's own apt, or nothing (then mmdebstrap takes its default). */
async function mirror() {
  const format = ["--format", "$(SITE)", "Created-By: Packages", "Origin: Debian", "Label: Debian"];
  const sites = await quietly("apt-get", ["indextargets", ...format]).catch(() => "");
  const [first] = sites.split("\n").filter(Boolean);
  if (first) return [first];
  const configured = await quietly("apt-get", ["indextargets", "--format", "$(SITE)", "Created-By: Packages"]).catch(() => "");
  const debian = configured.split("\n").find((site) => site.endsWith("/debian"));
  return debian ? [debian] : [];
}

async function aptProxyOptions() {
  const dump = await quietly("apt-config", ["dump", "Acquire::http::Proxy", "Acquire::https"]).catch(() => "");
  return dump
    .split("\n")
    .filter((line) => /^Acquire::https?::(Proxy|CAInfo) "./.test(line))
    .map((line) => `--aptopt=${line}`);
}

async function pulumiOnPath() {
  const pulumi = await findCommand("pulumi");
  if (!pulumi) return undefined;
  const folder = dirname(await realpath(pulumi));
  const beside = await Promise.all(
    ["pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"].map((name) => findCommand(name, [folder])),
  );
  return beside.every(Boolean) ? folder : undefined;
}

async function pulumiFolder() {
  const sums = await Promise.all(
    ["pulumi", "pulumi-language-nodejs"].map((name) => readFile(join(tools, name, "go.sum"), "utf8")),
  );
  return cached(`pulumi-${hash(...sums)}`);
}

async function newEnoughGo() {
  const go = await findCommand("go", [...searchPath(), "/usr/local/go/bin"]);
  if (!go) return undefined;
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(await quietly(go, ["env", "GOVERSION"]).catch(() => "")) ?? [];
  return Number(major) > 1 || Number(minor) >= 21 ? go : undefined;
}

async function goBuild(module, mainPackage, target) {
  const folder = join(tools, module);
  const [, version] = /^require .*\/v3 (v\S+)$/m.exec(await readFile(join(folder, "go.mod"), "utf8")) ?? [];
  const linker = `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${version}`;
  await run(
    [
      await newEnoughGo(),
      "build",
      "-modcacherw",
      "-trimpath",
      "-tags",
      "osusergo,grpcnotrace",
      "-ldflags",
      linker,
      "-o",
      join(target, module),
      mainPackage,
    ],
    {
      cwd: folder,
      env: { ...process.env, GOFLAGS: "", GOPATH: cached("go"), GOMODCACHE: cached("go", "mod"), GOCACHE: cached("go", "build") },
    },
  );
}

async function copyDynamicProvider(folder) {
  const name = "pulumi-resource-pulumi-nodejs";
  const sdk = dirname(createRequire(join(project, "package.json")).resolve("@pulumi/pulumi/package.json"));
  const source = await readFile(join(sdk, name), "utf8");
  const target = join(folder, name);
  if ((await readFile(target, "utf8").catch(() => "")) === source) return;
  const draft = `${target}.${process.pid}`;
  await copyFile(join(sdk, name), draft);
  await chmod(draft, 0o755);
  await rename(draft, target);
}

/** Two set-ups may run at once: the first one wins, the other throws its own copy away. */
async function moveIntoPlace(draft, target) {
  try {
    await rename(draft, target);
  } catch (error) {
    if (!(await exists(target))) throw error;
    await rm(draft, { recursive: true, force: true });
  }
}

function run([command, ...args], options) {
  return quietly(command, args, options);
}

function hash(...parts) {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}

function searchPath() {
  // A plain user's PATH has no sbin, where half of these commands live.
  return [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
}

/** Debian ships Python without what makes environments. */
async function hasPythonWithPip() {
  return quietly("python3", ["-c", "import ensurepip, venv"]).then(
    () => true,
    () => false,
  );
}

async function findCommand(name, folders = searchPath()) {
  for (const folder of folders) {
    const path = join(folder, name);
    if (
      folder &&
      (await access(path, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return path;
  }
  return undefined;
}

async function exists(path) {
  return (await modified(path)) !== undefined;
}

async function modified(path) {
  return stat(path).then(
    (found) => found.mtimeMs,
    () => undefined,
  );
}

async function command([part, argument]) {
  const parts = {
    system: ensureSystemPackages,
    npm: ensureNpmPackages,
    pulumi: async () => console.log(await ensurePulumi()),
    root: async () => console.log(await ensureLabRoot(argument)),
    vm: async () => console.log(await ensureVmImage(argument)),
    node: async () => console.log(await ensureNode(argument)),
    ansible: async () => console.log(await ensureAnsible()),
  };
  const chosen = part === "root" && !labRootNames.includes(argument) ? undefined : parts[part];
  if (!chosen)
    throw new Advice(
      `usage: node tools/setup.mjs system | npm | pulumi | root ${labRootNames.join("|")} | vm bookworm|trixie | node VERSION | ansible\nThe cache is ${cacheFolder()}.`,
    );
  await chosen();
}

if (process.argv[1] && import.meta.url === pathToFileURL(await realpath(process.argv[1])).href)
  await main(() => command(process.argv.slice(2)));
