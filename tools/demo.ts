// The story that `npm run demo` tells, with the real Pulumi CLI and a lab host. Runs under tools/in-lab.mjs, and ends with an
// error where a step does not show what it says.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { clientKeyPath, type LabGuest, type LabHost, type RunResult, startHost } from "./lab";

const repository = dirname(__dirname);
// In the lab's own memory: it is gone with the lab, whatever ends the demo.
const folder = join(process.env["DRAWBRIDGE_LAB"] ?? "/run/not-in-the-lab", `demo-${process.pid}`);
const privateAddress = "10.9.9.9";
const publicAddress = "203.0.113.9";
const deletedRule = "inet 20 deny to 10.0.0.0/8";

const color = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
const paint = (code: number, text: string) => (color ? `\x1b[${code}m${text}\x1b[0m` : text);
const write = (text: string) => process.stdout.write(`${text}\n`);
let steps = 0;
const step = (sentence: string) => write(`\n${paint(1, `${++steps}. ${sentence}`)}\n`);
const command = (line: string) => write(paint(36, line));

/** Shows the lines that match, and `…` for what is left out between them; with no pattern, all. */
function show(text: string, ...wanted: readonly RegExp[]): void {
  let left: "nothing yet" | "no line" | "lines" = "nothing yet";
  for (const line of text.trimEnd().split("\n")) {
    if (wanted.length > 0 && !wanted.some((pattern) => pattern.test(line))) {
      if (left === "no line" && line.trim() !== "") left = "lines";
      continue;
    }
    if (left === "lines") write(paint(2, "  …"));
    write(`  ${line.trimEnd()}`.trimEnd());
    left = "no line";
  }
}

/** The demo checks itself: what it says must be so. */
function claim(isSo: boolean, what: string, text = ""): void {
  if (!isSo) throw new Error(`the demo did not show what it should: ${what}\n${text}`);
}

/** Shows the command, runs it, and answers what it printed. */
const pulumi = (...args: string[]) => running(args, true);
/** The same of one that must fail. */
const refused = (...args: string[]) => running(args, false);

async function running(args: readonly string[], succeeds: boolean): Promise<string> {
  command(`$ pulumi ${args.join(" ")}`);
  const child = spawn("pulumi", args, {
    cwd: folder,
    env: {
      PATH: [process.env["DRAWBRIDGE_PULUMI_BIN"], dirname(process.execPath), process.env["PATH"]].join(delimiter),
      HOME: process.env["HOME"],
      PULUMI_HOME: join(folder, "home"),
      TMPDIR: folder,
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: "",
      PULUMI_SKIP_UPDATE_CHECK: "1",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "1",
      NO_COLOR: "1",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  claim((code === 0) === succeeds, `"pulumi ${args.join(" ")}" should ${succeeds ? "succeed" : "fail"}`, text);
  return text;
}

async function onHost(host: LabHost, script: string): Promise<string> {
  command(`host# ${script}`);
  return (await host.run(script)).stdout;
}

/** One packet of the guest, and whether it shall be answered. */
async function ping(guest: LabGuest, address: string, answered: boolean): Promise<void> {
  const script = `ping -c 1 -W 1 ${address}`;
  command(`guest# ${script}`);
  const { code, stdout }: RunResult = await guest.run(script, { allowFailure: true });
  show(stdout, /bytes from|packets transmitted/);
  claim((code === 0) === answered, `the packet to ${address} should ${answered ? "" : "not "}be answered`, stdout);
}

async function startGuestBehind(host: LabHost): Promise<LabGuest> {
  await host.outside(`ip addr replace ${privateAddress}/32 dev labsw; ip addr replace ${publicAddress}/32 dev labsw`);
  const nat =
    "chain postrouting { type nat hook postrouting priority srcnat; ip saddr 192.168.77.0/24 oifname eth0 masquerade; }";
  await host.run(`sysctl -qw net.ipv4.ip_forward=1; nft 'table ip nat { ${nat}; }'`);
  return host.guest({
    name: "guest",
    addresses: ["192.168.77.2/24"],
    gateway: "192.168.77.1",
    attach: { hostAddresses: ["192.168.77.1/24"] },
  });
}

/** The program of the project, and what it has beside the fence. */
function writeProgram(host: LabHost, more = ""): string {
  const program = `import { DefaultDrop, LeakFence } from "pulumi-drawbridge";

const host = {
  connection: { host: "${host.address}", user: "deploy", hostKey: "${host.hostKey}" },
  become: true,
  privateKeyPath: "lab-key",
};

new LeakFence("private-stays-inside", {
  ...host,
  uplink: "eth0",
  networks: ["rfc1918", "ula"],
});
${more}`;
  writeFileSync(join(folder, "index.js"), program);
  return program;
}

/** What nobody allows does not come in: a default drop whose administrator comes from `source`. */
const defaultDrop = (source: string, more = "") => `
new DefaultDrop("input", {
  ...host,
  hook: "input",
  management: { sources: ["${source}"] },
  allow: [{ protocol: "tcp", ports: [8443], description: "the shop" }],${more}
});
`;

/** Whether somebody outside reaches a port of the host; one listens there. */
async function knock(host: LabHost, port: number, answered: boolean): Promise<void> {
  const script = `nc -z -w 1 ${host.address} ${port}`;
  command(`outside# ${script}`);
  // A listener of one connection after the other is away for a moment.
  const tries = `for n in 1 2 3; do ${script} && exit 0; sleep 0.2; done; exit 1`;
  const { code } = await host.outside(tries, { allowFailure: true });
  write(`  port ${port}: ${code === 0 ? "open" : "no answer"}`);
  claim((code === 0) === answered, `port ${port} should ${answered ? "" : "not "}answer`);
}

/** A Pulumi project as a user would have it. Answers the text of its program. */
function makeProject(host: LabHost): string {
  mkdirSync(join(folder, "node_modules"), { recursive: true });
  symlinkSync(repository, join(folder, "node_modules", "pulumi-drawbridge"));
  symlinkSync(join(repository, "node_modules", "@pulumi"), join(folder, "node_modules", "@pulumi"));
  symlinkSync(clientKeyPath, join(folder, "lab-key"));
  writeFileSync(join(folder, "package.json"), '{ "name": "demo", "private": true, "type": "module" }\n');
  writeFileSync(join(folder, "Pulumi.yaml"), "name: demo\nruntime: nodejs\nmain: index.js\n");
  return writeProgram(host);
}

const digest = (fingerprint: string) => createHash("sha256").update(fingerprint).digest("hex").slice(0, 16);

async function main(host: LabHost): Promise<void> {
  const guest = await startGuestBehind(host);
  const before = await host.fingerprint();

  step(`A host with a masqueraded guest behind it: the guest's packets to a private address leave by the host's eth0.`);
  await ping(guest, privateAddress, true);

  step("A program says that this shall not be.");
  command("$ cat index.js");
  show(makeProject(host));
  await pulumi("stack", "init", "dev");

  step("The preview shows what will stand, decision by decision and in which tables, and does not touch the host.");
  const preview = await pulumi("preview", "--diff");
  show(preview, /LeakFence: \(create\)/, / rules *:/, /^ +(common|deny) /, /to create$/);
  claim(/deny rfc1918 *: "10\.0\.0\.0\/8, .*; inet, netdev: in /.test(preview), "the preview should show the rules", preview);
  claim((await host.fingerprint()) === before, "the preview should change nothing on the host");

  step("up loads them, comes back over a new connection, and only then tells the host to keep them.");
  const up = await pulumi("up", "--yes", "--skip-preview");
  show(up, /created/);
  claim(/\+ 2 created/.test(up), "up should create the fence", up);
  const standing = await host.fingerprint();

  step("The guest's packet to the private address is dropped and counted; others pass.");
  await ping(guest, privateAddress, false);
  await ping(guest, publicAddress, true);
  const object = /chain (leak-fence-\S+-[0-9a-f]{8}) /.exec((await host.run("nft list table inet drawbridge")).stdout)?.[1] ?? "";
  const counter = await onHost(host, `nft list counter inet drawbridge ${object}.to.10.0.0.0/8`);
  show(counter, /counter|packets/);
  claim(/packets [1-9]/.test(counter), "the counter should have counted the packet", counter);

  step("Somebody takes a network out of the fence by hand.");
  show(await onHost(host, `nft delete element inet drawbridge ${object}.to.ipv4 { 10.0.0.0/8 }`));

  step("refresh names the very network. (The second line, in the device's own hook, still holds the packet back.)");
  const refresh = await pulumi("refresh", "--yes", "--skip-preview", "--diff");
  show(refresh, /^ {6,}[-+~] inet /, /a reboot would/);
  claim(refresh.includes(`+ ${deletedRule}`), "refresh should name the deleted line", refresh);
  claim(!/[-+~] inet 50 deny (from|to 1[79])/.test(refresh), "refresh should name no other line", refresh);
  claim(refresh.includes("a reboot would repair the kernel"), "refresh should say what a reboot would do", refresh);
  await ping(guest, privateAddress, false);

  step("up puts it back.");
  const repair = await pulumi("up", "--yes", "--skip-preview", "--diff");
  show(repair, /[-+~] inet /, /updated$/);
  claim(repair.includes(`- ${deletedRule}`) && /~ 1 updated/.test(repair), "up should put the line back", repair);
  claim((await host.fingerprint()) === standing, "the host should stand as before the deletion");

  step("Now turn it round: what nobody allows does not come in. The administrator's own network is forgotten.");
  for (const port of [8443, 7777])
    await host.run(`setsid -f sh -c 'while :; do nc -4 -N -l ${port} </dev/null; done' >/dev/null 2>&1 </dev/null`);
  command("$ cat >>index.js");
  show(defaultDrop("192.0.2.0/24"));
  writeProgram(host, defaultDrop("192.0.2.0/24"));
  const refusal = await refused("up", "--yes", "--skip-preview");
  show(refusal, /^ +error: /);
  claim(/would be cut off; add "198\.18\./.test(refusal), "up should name the source that is missing", refusal);

  step("Who insists is not locked out either: nobody comes through, so the host takes the change back by itself.");
  writeProgram(host, defaultDrop("192.0.2.0/24", "\n  force: true,\n  confirmDeadlineSeconds: 5,"));
  const undone = await refused("up", "--yes", "--skip-preview");
  show(undone, /^ +error: /, /has met/);
  claim(undone.includes("the host rolled it back"), "the host should have rolled it back", undone);

  step("With the right source it stands: the shop is open, nothing else is.");
  await knock(host, 7777, true);
  writeProgram(host, defaultDrop("198.18.0.0/15"));
  show(await pulumi("up", "--yes", "--skip-preview"), / created/);
  await knock(host, 8443, true);
  await knock(host, 7777, false);

  step("destroy leaves the host as it was: files, settings, links, routes, and everybody's nft rules.");
  const destroy = await pulumi("destroy", "--yes", "--skip-preview");
  show(destroy, /- \d deleted/);
  const after = await host.fingerprint();
  write(`  fingerprint of the host before: ${digest(before)}\n  fingerprint of the host now:    ${digest(after)}`);
  claim(after === before, "the host should be as it was");
  write("  The host is as it was.");

  write(`
${paint(1, "For a host of your own:")}

  npm init -y && npm pkg delete main
  npm install pulumi-drawbridge @pulumi/pulumi
  printf 'name: fence\\nruntime: nodejs\\noptions:\\n  refresh: always\\n' >Pulumi.yaml
  cat >index.ts <<'end'
  import { LeakFence } from "pulumi-drawbridge";
  const host = { connection: { host: "192.0.2.7", user: "deploy" }, become: true };   // sudo -n; known_hosts; your SSH agent
  new LeakFence("private-stays-inside", { ...host, uplink: "eth0", networks: ["rfc1918", "ula"] });
  end
  pulumi login --local && pulumi stack init dev
  pulumi preview --diff && pulumi up
`);
}

process.on("SIGINT", () => process.exit(130));
let host: LabHost | undefined;
startHost()
  .then(async (started) => {
    host = started;
    await main(started);
  })
  .catch((error: unknown) => {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  })
  .finally(async () => {
    await host?.down();
    rmSync(folder, { recursive: true, force: true });
  })
  .catch(() => undefined);
