import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closePool } from "../../dist/host/pool";
import { openSsh } from "../../dist/host/ssh";
import { clientKeyPassphrase, clientKeyPath, clientKeyPathEncrypted, type LabHost, startHost } from "../../tools/lab";
import { Driven, type Props } from "./drive";

const RULE = { users: ["myself"], commands: [{ path: "/usr/bin/id" }], confirmDeadlineSeconds: 30 };

describe("the way to a host", () => {
  let host: LabHost;
  let other: LabHost;
  let home: string;
  let number = 0;
  const before = { home: process.env["HOME"], agent: process.env["SSH_AUTH_SOCK"] };

  beforeAll(async () => {
    host = await startHost();
    other = await startHost();
    home = mkdtempSync(join(tmpdir(), "drawbridge-home-"));
    process.env["HOME"] = home;
    delete process.env["SSH_AUTH_SOCK"];
  });
  afterAll(async () => {
    process.env["HOME"] = before.home;
    if (before.agent !== undefined) process.env["SSH_AUTH_SOCK"] = before.agent;
    rmSync(home, { recursive: true, force: true });
    await host.down();
    await other.down();
  });

  const connection = (more: Props = {}): Props => ({
    host: host.address,
    user: "deploy",
    hostKey: host.hostKey,
    dialErrorLimit: 1,
    ...more,
  });
  const create = (access: Props) => Driven.create("SudoRule", `way${(number += 1)}`, { become: true, ...RULE, ...access });
  const works = async (access: Props) => (await create(access)).delete();
  const fails = (access: Props, failure: Props) => expect(create(access)).rejects.toMatchObject({ failure });
  const text = (part: string) => expect.stringContaining(part) as unknown;
  const key = () => readFileSync(clientKeyPath, "utf8");
  const knownHosts = (lines: string) => {
    mkdirSync(join(home, ".ssh"), { recursive: true });
    writeFileSync(join(home, ".ssh", "known_hosts"), lines);
  };

  test("credentials: a key, a key with a passphrase, a key file, a variable of the environment", async () => {
    await works({ connection: connection({ privateKey: key() }) });
    await works({
      connection: connection({
        privateKey: readFileSync(clientKeyPathEncrypted, "utf8"),
        privateKeyPassword: clientKeyPassphrase,
      }),
    });
    await works({ connection: connection(), privateKeyPath: clientKeyPath });
    process.env["DRAWBRIDGE_TEST_KEY"] = key();
    await works({ connection: connection(), privateKeyEnv: "DRAWBRIDGE_TEST_KEY" });
    delete process.env["DRAWBRIDGE_TEST_KEY"];
    await fails(
      { connection: connection(), privateKeyEnv: "DRAWBRIDGE_NO_KEY" },
      { code: "authentication", reason: text("DRAWBRIDGE_NO_KEY is not set") },
    );
    await fails(
      { connection: connection(), privateKeyPath: "~/.ssh/none" },
      { code: "authentication", reason: text("no such file") },
    );
    await fails(
      { connection: connection({ privateKey: readFileSync(clientKeyPathEncrypted, "utf8"), privateKeyPassword: "wrong" }) },
      { code: "authentication" },
    );
    await fails({ connection: connection() }, { code: "authentication", wayOut: text("`privateKeyPath`") });
    await fails(
      { connection: connection({ user: "nobody", privateKey: key() }) },
      { code: "authentication", wayOut: text("connection.privateKey") },
    );
  });

  test("an SSH agent", async () => {
    const socket = join(home, "agent");
    const agent: ChildProcess = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      for (let tries = 0; tries < 100; tries++) {
        const added = spawn("ssh-add", ["-q", clientKeyPath], {
          env: { ...process.env, SSH_AUTH_SOCK: socket },
          stdio: "ignore",
        });
        if ((await new Promise((resolve) => added.on("close", resolve))) === 0) break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await works({ connection: connection({ agentSocketPath: socket }) });
      process.env["SSH_AUTH_SOCK"] = socket;
      await works({ connection: connection() });
    } finally {
      delete process.env["SSH_AUTH_SOCK"];
      agent.kill();
    }
  });

  test("a pinned key: the right one passes, another one is refused with the line to pin", async () => {
    await works({ connection: connection(), privateKeyPath: clientKeyPath });
    await fails(
      { connection: connection({ hostKey: other.hostKey }), privateKeyPath: clientKeyPath },
      { code: "host-key", reason: text("is not the one in connection.hostKey"), wayOut: text(`hostKey: "${host.hostKey}"`) },
    );
  });

  test("known_hosts: plain and hashed names pass, an unknown and a changed key are refused", async () => {
    const unpinned = { connection: connection({ hostKey: undefined }), privateKeyPath: clientKeyPath };
    knownHosts("");
    await fails(unpinned, {
      code: "host-key",
      reason: text("the host's key is unknown"),
      wayOut: text(`hostKey: "${host.hostKey}"`),
    });
    knownHosts(`# comment\nexample.org,${host.address} ${host.hostKey} someone@somewhere\n`);
    await works(unpinned);
    knownHosts(`${host.address} ${host.hostKey}\n`);
    const hashed = spawn("ssh-keygen", ["-q", "-H", "-f", join(home, ".ssh", "known_hosts")], { stdio: "ignore" });
    await new Promise((resolve) => hashed.on("close", resolve));
    expect(readFileSync(join(home, ".ssh", "known_hosts"), "utf8")).toMatch(/^\|1\|/);
    await works({ ...unpinned, confirmDeadlineSeconds: 31 });
    knownHosts(`${host.address} ${other.hostKey}\n`);
    await fails(
      { ...unpinned, connection: connection({ hostKey: undefined, dialErrorLimit: 2 }) },
      { code: "host-key", reason: text("is not the one in known_hosts") },
    );
  });

  test("accept-new takes the first key, pins it in the outputs, and refuses a changed one until the machine changes", async () => {
    const access = (address: string, more: Props = {}) => ({
      connection: { host: address, user: "deploy", dialErrorLimit: 1 },
      privateKeyPath: clientKeyPath,
      become: true,
      hostKeyPolicy: "accept-new",
      ...RULE,
      ...more,
    });
    const resource = await Driven.create("SudoRule", "accepted", access(host.address));
    expect(resource.outputs["pinnedHostKey"]).toBe(host.hostKey);
    // Another machine takes the address's place.
    resource.outputs = { ...resource.outputs, pinnedHostKey: other.hostKey };
    await expect(resource.refresh()).rejects.toMatchObject({
      failure: { code: "host-key", reason: text("the key that accept-new pinned") },
    });
    await expect(resource.up(access(host.address, { nopasswd: true }))).rejects.toMatchObject({ failure: { code: "host-key" } });
    await resource.up(access(host.address, { nopasswd: true, machine: "vm-2" }));
    expect(resource.outputs["pinnedHostKey"]).toBe(host.hostKey);
    await resource.delete();
  });

  test("a jump host", async () => {
    const proxy = { host: other.address, user: "deploy", hostKey: other.hostKey };
    await works({ connection: connection({ proxy }), privateKeyPath: clientKeyPath });
    await fails(
      { connection: connection({ proxy: { ...proxy, hostKey: host.hostKey } }), privateKeyPath: clientKeyPath },
      { code: "host-key", host: text(other.address) },
    );
    await fails(
      { connection: connection({ proxy, port: 23 }), privateKeyPath: clientKeyPath },
      { code: "unreachable", reason: text("the jump host") },
    );
  });

  test("a jump host whose way on swallows everything is given up after the dial's time, and at the deadline", async () => {
    const proxy = { host: other.address, user: "deploy", hostKey: other.hostKey };
    const port = 2222;
    // Another door of the same sshd; the jump host's TCP would knock for two minutes where nobody says no.
    await host.run("/usr/sbin/sshd -o UsePAM=no -p 2222 -o PidFile=/run/sshd-2222.pid");
    await works({ connection: connection({ proxy, port }), privateKeyPath: clientKeyPath });
    await host.run("nft 'add table ip hole { chain in { type filter hook input priority 0; tcp dport 2222 drop; }; }'");
    const started = Date.now();
    await fails(
      { connection: connection({ proxy, port, perDialTimeout: 2 }), privateKeyPath: clientKeyPath },
      {
        code: "unreachable",
        host: `deploy@${host.address}:2222`,
        reason: `the jump host deploy@${other.address}:22 cannot reach it: no answer after 2 s`,
      },
    );
    const target = { connection: { host: host.address, port, proxy }, privateKeyPath: clientKeyPath };
    await expect(openSsh(target, AbortSignal.timeout(3_000))).rejects.toMatchObject({
      failure: {
        code: "unreachable",
        reason: `the jump host deploy@${other.address}:22 cannot reach it: no answer before the deadline`,
      },
    });
    expect(Date.now() - started).toBeLessThan(30_000);
    await host.run("nft delete table ip hole; kill $(cat /run/sshd-2222.pid)");
  });

  test("a connection that is half closed fails as unreachable, and does not throw at once", async () => {
    const deadline = AbortSignal.timeout(30_000);
    const target = { connection: { host: host.address, user: "deploy", hostKey: host.hostKey }, privateKeyPath: clientKeyPath };
    const open = await openSsh(target, deadline);
    const exec = () =>
      open.exec("echo here", Buffer.alloc(0), { step: "read the host", deadlineSeconds: 20, stdoutBytes: 1_000 });
    expect((await exec()).stdout.toString("utf8")).toBe("here\n");
    open.close();
    expect(open.isClosed()).toBe(false);
    await expect(exec()).rejects.toMatchObject({ failure: { code: "unreachable", step: "read the host" } });
  });

  test("a look whose connection is lost is done once more over a new one", async () => {
    const rule = await create({ connection: connection(), privateKeyPath: clientKeyPath });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    // It waits for the lock meanwhile.
    await host.run("setsid -f flock /run/drawbridge.lock sleep 5 </dev/null >/dev/null 2>&1");
    const looking = rule.refresh();
    const killed = await host.run(
      "for i in $(seq 100); do pgrep -f '[d]rawbridge-host snapshot' >/dev/null && break; sleep 0.05; done; pkill -KILL -u deploy sshd && echo killed",
    );
    expect(killed.stdout).toBe("killed\n");
    expect(await looking).toEqual({});
    await rule.delete();
  });

  test("an unreachable host is an error with host, step, cause and the ways out, and never 'gone'", async () => {
    const resource = await Driven.create("SudoRule", "away", {
      ...RULE,
      connection: connection(),
      become: true,
      privateKeyPath: clientKeyPath,
    });
    const elsewhere = { ...resource.outputs, connection: connection({ host: "198.18.255.254", perDialTimeout: 1 }) };
    const standing = resource.outputs;
    resource.outputs = elsewhere;
    await expect(resource.refresh()).rejects.toMatchObject({
      failure: {
        code: "unreachable",
        host: "deploy@198.18.255.254:22",
        step: "connect",
        wayOut: text("DRAWBRIDGE_SKIP_UNREACHABLE=1"),
      },
    });
    await expect(resource.delete()).rejects.toMatchObject({ failure: { code: "unreachable", wayOut: text("deletedWith") } });
    process.env["DRAWBRIDGE_SKIP_UNREACHABLE"] = "1";
    expect(await resource.refresh()).toEqual({});
    delete process.env["DRAWBRIDGE_SKIP_UNREACHABLE"];
    process.env["DRAWBRIDGE_DELETE_UNREACHABLE"] = "1";
    await resource.delete();
    delete process.env["DRAWBRIDGE_DELETE_UNREACHABLE"];
    resource.outputs = standing;
    await resource.delete();
  });

  test("a machine that takes a connection and says nothing is given up after the dial's time", async () => {
    const server: Server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.on("listening", resolve));
    const { port } = server.address() as { port: number };
    const started = Date.now();
    await fails(
      {
        connection: { host: "127.0.0.1", port, dialErrorLimit: 1, perDialTimeout: 1, hostKey: host.hostKey },
        privateKeyPath: clientKeyPath,
      },
      { code: "unreachable" },
    );
    expect(Date.now() - started).toBeLessThan(10_000);
    server.close();
  });
});

describe("accept-new, by the resources of one host", () => {
  let host: LabHost;
  const access = (more: Props = {}) => ({
    connection: { host: host.address, user: "deploy", dialErrorLimit: 1 },
    privateKeyPath: clientKeyPath,
    become: true,
    hostKeyPolicy: "accept-new",
    ...RULE,
    ...more,
  });
  beforeAll(async () => {
    host = await startHost();
  });
  afterAll(() => host.down());

  test("a second one takes no other key than the first, in this process and by its state; another machine's is taken", async () => {
    const first = await Driven.create("SudoRule", "first", access());
    process.env["DRAWBRIDGE_TEST_KEY"] = readFileSync(clientKeyPath, "utf8");
    // Another way to the same host, so that it has a connection of its own.
    const second = (name: string, more: Props = {}) =>
      Driven.create("SudoRule", name, access({ privateKeyPath: undefined, privateKeyEnv: "DRAWBRIDGE_TEST_KEY", ...more }));
    // The control: as long as the key is the same.
    await (await second("same")).delete();
    closePool();
    await host.run(
      "cp -p /etc/ssh/ssh_host_ed25519_key /root/; rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; kill -HUP $(cat /run/sshd.pid); sleep 1",
    );
    // What the engine asks of a resource that stays as it is.
    await first.diff(first.inputs);
    const refused = { failure: { code: "host-key", wayOut: expect.stringContaining("ssh_host_ed25519_key.pub") as unknown } };
    await expect(second("other")).rejects.toMatchObject(refused);
    await expect(second("another")).rejects.toMatchObject(refused);
    await (await second("new", { machine: "vm-2" })).delete();
    await host.run("cp -p /root/ssh_host_ed25519_key /etc/ssh/; kill -HUP $(cat /run/sshd.pid); sleep 1");
    closePool();
    delete process.env["DRAWBRIDGE_TEST_KEY"];
    await first.delete();
  });

  test("a host that signs by SHA-1 only is refused, and one that signs by SHA-2 with the same key is not", async () => {
    await host.run("ssh-keygen -q -t rsa -b 2048 -N '' -f /etc/ssh/rsa");
    const sshd = (port: number, algorithm: string) =>
      host.run(
        `/usr/sbin/sshd -o UsePAM=no -p ${port} -o PidFile=/run/sshd-${port}.pid -o HostKey=/etc/ssh/rsa -o HostKeyAlgorithms=${algorithm}`,
      );
    await sshd(2201, "ssh-rsa");
    await sshd(2202, "rsa-sha2-512");
    const at = (port: number) => ({ connection: { host: host.address, user: "deploy", port, dialErrorLimit: 1 } });
    await expect(Driven.create("SudoRule", "sha1", access(at(2201)))).rejects.toMatchObject({ failure: { code: "unreachable" } });
    await (await Driven.create("SudoRule", "sha2", access(at(2202)))).delete();
  });

  test("without any credentials in the program, the usual key file is taken, and nothing is said of what does not fit", async () => {
    const home = mkdtempSync(join(tmpdir(), "drawbridge-home-"));
    const before = { home: process.env["HOME"], agent: process.env["SSH_AUTH_SOCK"] };
    delete process.env["SSH_AUTH_SOCK"];
    process.env["HOME"] = home;
    const bare = access({ privateKeyPath: undefined });
    const failure: unknown = await Driven.create("SudoRule", "bare", bare).catch((error: unknown) => error);
    expect(failure).toMatchObject({ failure: { wayOut: expect.stringMatching(/`privateKeyPath`/) as unknown } });
    expect((failure as Error).message).not.toContain("FIDO");
    mkdirSync(join(home, ".ssh"));
    writeFileSync(join(home, ".ssh", "id_ecdsa"), "not a key");
    writeFileSync(join(home, ".ssh", "id_rsa"), readFileSync(clientKeyPath));
    await (await Driven.create("SudoRule", "bare", bare)).delete();
    process.env["HOME"] = before.home;
    if (before.agent !== undefined) process.env["SSH_AUTH_SOCK"] = before.agent;
    rmSync(home, { recursive: true });
  });

  test("an address that nobody has is said once", async () => {
    const nowhere = { connection: { host: "203.0.113.250", user: "deploy", dialErrorLimit: 1, perDialTimeout: 2 } };
    const failure: unknown = await Driven.create("SudoRule", "nowhere", access(nowhere)).catch((error: unknown) => error);
    expect((failure as Error).message).not.toMatch(/connect: connect/);
  });
});

describe("a resource and its machine", () => {
  let one: LabHost;
  let two: LabHost;
  const at = (host: LabHost) => ({
    connection: { host: host.address, user: "deploy", hostKey: host.hostKey, dialErrorLimit: 1, perDialTimeout: 2 },
    become: true,
    privateKeyPath: clientKeyPath,
    ...RULE,
  });
  const file = async (host: LabHost) => (await host.run("ls /etc/sudoers.d | grep drawbridge || true")).stdout.trim();

  beforeEach(async () => {
    one = await startHost();
    two = await startHost();
  });
  afterEach(async () => {
    await one.down();
    await two.down();
  });

  test("moved: it is installed on the new host and taken away from the old one", async () => {
    const resource = await Driven.create("SudoRule", "moves", at(one));
    const first = resource.outputs["machineId"];
    await resource.up(at(two));
    expect(await file(one)).toBe("");
    expect(await file(two)).toMatch(/^drawbridge-sudo-rule-moves/);
    expect(resource.outputs["machineId"]).not.toBe(first);
    await resource.delete();
    expect(await file(two)).toBe("");
  });

  test("moved from a host that is gone: a warning, no error", async () => {
    const resource = await Driven.create("SudoRule", "leaves", at(one));
    await one.down();
    await resource.up(at(two));
    expect(await file(two)).toMatch(/^drawbridge-sudo-rule-leaves/);
    await resource.delete();
  });

  test("moved from a host that refuses our key: the error says so, and the next up takes it away there", async () => {
    const resource = await Driven.create("SudoRule", "refused", at(one));
    // A way of its own, so that no open connection is used.
    const { connection } = resource.outputs as { connection: Props };
    resource.outputs = { ...resource.outputs, connection: { ...connection, perDialTimeout: 3 } };
    await one.run("mv /home/deploy/.ssh /home/deploy/ssh.away");
    await expect(resource.up(at(two))).rejects.toMatchObject({ failure: { code: "authentication" } });
    await one.run("mv /home/deploy/ssh.away /home/deploy/.ssh");
    expect(await file(one)).toMatch(/^drawbridge-sudo-rule-refused/);
    await resource.up(at(two));
    expect([await file(one), await file(two)]).toEqual(["", expect.stringMatching(/^drawbridge-sudo-rule-refused/)]);
    await resource.delete();
  });

  test("reinstalled: refresh says gone, so that up makes it anew", async () => {
    const resource = await Driven.create("SudoRule", "reinstalled", at(one));
    resource.outputs = { ...resource.outputs, connection: at(two).connection };
    expect(await resource.refresh()).toBe("gone");
  });

  test("a machine replaced behind the address: delete does nothing there, not even to a clone with our files", async () => {
    const resource = await Driven.create("SudoRule", "replaced", at(one));
    const files = await one.run("tar -C / -cf - etc/sudoers.d usr/local/sbin/drawbridge-host | base64 -w0");
    await two.run("base64 -d | tar -C / -xf -", { stdin: files.stdout });
    resource.outputs = { ...resource.outputs, connection: at(two).connection };
    await resource.delete();
    expect(await file(two)).toMatch(/^drawbridge-sudo-rule-replaced/);
    expect(await file(one)).toMatch(/^drawbridge-sudo-rule-replaced/);
  });
});
