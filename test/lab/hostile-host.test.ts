import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { HostError } from "../../dist/core/errors";
import { LAYOUT } from "../../dist/core/files/host-file";
import { closePool, pooledHost } from "../../dist/host/pool";
import { hostProgram } from "../../dist/host/program";
import { LIMITS } from "../../dist/host/protocol";
import type { Target } from "../../dist/host/target";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven } from "./drive";

/** No control character, no direction mark, nothing invisible. */
const CONTROLS = /[^\P{C}\n\t]/u;
const MEMORY_MB = 300;

let hostile: LabHost;
let healthy: LabHost;
let rule: Driven;

const targetOf = (host: LabHost): Target => ({
  connection: { host: host.address, user: "root", hostKey: host.hostKey, dialErrorLimit: 1 },
  privateKeyPath: clientKeyPath,
});
const greeting = `drawbridge-host ${LAYOUT} ${hostProgram().version} ${hostProgram().digest}`;

/** Puts a program of the hostile host's own in the place of ours. What it is told of a change it reads to the end. */
const says = (script: string, hello = greeting) =>
  hostile.run("cat >/usr/local/sbin/drawbridge-host; chmod 755 /usr/local/sbin/drawbridge-host; rm -f /root/calls", {
    stdin: `#!/bin/sh\ncommand=$1\necho "$command" >>/root/calls\ncat >/root/asked\nprintf '%s\\n' '${hello}'\n${script}\n`,
  });

beforeAll(async () => {
  [hostile, healthy] = await Promise.all([startHost(), startHost()]);
  rule = await Driven.create("SudoRule", "beside", {
    ...accessOf(healthy),
    users: ["myself"],
    commands: [{ path: "/usr/bin/id" }],
  });
  // Archives to answer with: a bomb, one in which something of every kind is, and an honest one.
  await hostile.run(`cd /root
    truncate -s 400M bomb && tar -cf - bomb | gzip -1 >bomb.tgz && rm bomb
    mkdir kinds look look/facts && for name in host live links.json addresses.json; do : >look/facts/$name; done
    tar -cf look.tar -C look . && mkfifo look/facts/pipe && tar -cf pipe.tar -C look . && rm look/facts/pipe
    mknod look/facts/device c 1 3 && tar -cf device.tar -C look . && rm look/facts/device
    echo '{"ifname":7}' >look/facts/links.json && tar -cf shape.tar -C look .
    echo '[{' >look/facts/links.json && tar -cf json.tar -C look . && : >look/facts/links.json
    tar -cf outside.tar -P -C look . --transform 's,^./facts/host,../../host,'
    tar -cf twice.tar -C look . ./facts/host
    printf x >"look/facts/$(printf '\\033]0;owned\\007')" && tar -cf name.tar -C look .
    rm look/facts/host look/facts/*owned* && tar -cf missing.tar -C look .`);
}, 60_000);
afterEach(() => {
  jest.restoreAllMocks();
  closePool();
});
afterAll(async () => {
  await hostile.down();
  await healthy.down();
});

/** The failure, which names the host, and whose text a terminal shows as it is. */
async function failureOf(work: Promise<unknown>) {
  const error: unknown = await work.then(
    () => new Error("it succeeded"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof HostError)) throw error;
  expect(error.failure.host).toBe(`root@${hostile.address}:22`);
  expect(error.message).not.toMatch(CONTROLS);
  return error.failure;
}

const look = () => pooledHost(targetOf(hostile)).snapshots.look();

test("the control: an honest look is read", async () => {
  await says("cat /root/look.tar");
  expect((await look()).files.size).toBe(0);
});

test.each([
  ["nothing", ":", "cannot be read|without its end"],
  ["an archive that is cut between two files", "head -c 1024 /root/look.tar", "without its end"],
  ["a compressed archive that is cut", "gzip -1 </root/look.tar | head -c 60", "cannot be read"],
  ["an archive without what a look is made of", "cat /root/missing.tar", "facts/host"],
  ["the same file twice", "cat /root/twice.tar", "two files"],
  ["a file outside of the archive", "cat /root/outside.tar", "of the name"],
  ["a name that a terminal would obey", "cat /root/name.tar", "of the name"],
  ["a pipe", "cat /root/pipe.tar", "of the kind"],
  ["a device", "cat /root/device.tar", "of the kind"],
  ["interfaces of another shape", "cat /root/shape.tar", "another shape"],
  ["interfaces that are not JSON", "cat /root/json.tar", "not JSON"],
  ["text in the place of an archive", "seq 1000", "cannot be read"],
  ["the answer of another step", "echo confirmed", "cannot be read|without its end"],
])("a look that is answered by %s is a failed look, never an empty host", async (_what, script, reason) => {
  await says(script);
  const failure = await failureOf(look());
  expect(failure).toMatchObject({ code: "bad-answer", step: "read the host" });
  expect(failure.reason).toMatch(new RegExp(reason));
});

test.each([
  ["a small archive that unpacks to 400 MB", "cat /root/bomb.tgz", "an archive"],
  ["an archive without end", "yes", "more than"],
  ["news without end", "yes 'status news' >&2", "of news"],
  ["a line without end", "yes | tr -d '\\n' >&2", "a line"],
])("%s is given up early, and never fills the memory", async (_what, script, reason) => {
  await says(script);
  // In a process of its own: what it used at most.
  const program = `const { pooledHost, closePool } = require(${JSON.stringify(join(__dirname, "../../dist/host/pool"))});
    pooledHost(${JSON.stringify(targetOf(hostile))}).snapshots.look().then(() => ({}), ({ failure }) => failure).then((failure) => {
      console.log(JSON.stringify({ failure, megabytes: process.resourceUsage().maxRSS / 1024 }));
      closePool();
    });`;
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", program]);
  const { failure, megabytes } = JSON.parse(stdout) as { failure: HostError["failure"]; megabytes: number };
  expect(failure).toMatchObject({ code: "bad-answer", host: `root@${hostile.address}:22` });
  expect(failure.reason).toContain(reason);
  expect(megabytes).toBeLessThan(MEMORY_MB);
});

test("a host that takes the call and says nothing is given up", async () => {
  await hostile.run("printf '#!/bin/sh\\nexec sleep 1000\\n' >/usr/local/sbin/drawbridge-host");
  jest.replaceProperty(LIMITS, "greetingSeconds", 1);
  expect(await failureOf(look())).toMatchObject({ code: "unreachable", step: "read the host" });
});

test.each([
  ["a version that is a command", `drawbridge-host 2 1.0.0;touch\${IFS}/tmp/owned ${"0".repeat(64)}`, "bad-answer"],
  ["a layout that is no number", `drawbridge-host x 1.0.0 ${"0".repeat(64)}`, "bad-answer"],
  // The control: a later version is named as the one to install.
  ["a later version", `drawbridge-host 2 1.2.3-rc.1 ${"0".repeat(64)}`, "layout"],
])("a greeting with %s", async (_what, hello, code) => {
  await says("exit 3", hello);
  const failure = await failureOf(look());
  expect(failure.code).toBe(code);
  expect(failure.wayOut).not.toContain("IFS");
});

test("an error's text shows what a terminal would obey, and as one line", async () => {
  await says(
    "printf 'error refused\\n\\033]0;owned\\007 \\302\\233 \\342\\200\\256gnp.exe\\nerror: [forged] all is lost\\n' >&2; exit 1",
  );
  const failure = await failureOf(look());
  expect(failure).toMatchObject({
    code: "refused",
    reason: "\\x1b]0;owned\\x07 \\x9b \\u202egnp.exe error: [forged] all is lost",
  });
});

const change = () =>
  Driven.create("SudoRule", "hostile", {
    ...accessOf(hostile, "root"),
    users: ["myself"],
    commands: [{ path: "/usr/bin/id" }],
    confirmDeadlineSeconds: 3,
  });
/** A look is answered honestly, and the other commands as given. */
const answers = (commands: Record<string, string>) =>
  says(
    `case $command in\nsurvey | snapshot) cat /root/look.tar ;;\n${Object.entries(commands)
      .map(([command, script]) => `${command}) ${script} ;;`)
      .join("\n")}\nesac`,
  );
const machine = "0123456789abcdef0123456789abcdef";

test.each([
  ["nothing", ":", "empty or cut"],
  ["half a line", `printf 'applied ${machine}'`, "empty or cut"],
  ["a refusal of a change that nobody has", "printf 'refused\\nrefuse 999 refused no\\n'", "nobody asked for"],
  ["a refusal of nothing", "echo refused", "does not say what"],
  ["a note on a change that nobody has", `printf 'applied ${machine}\\nnote 1 elsewhere\\n'`, "nobody asked for"],
  ["a machine's id that is none", "echo applied '$(reboot)'", "machine"],
  ["the answer of another step", "echo confirmed", "does not answer"],
  ["a counter that counts in words", "printf 'undone\\nrose inet x many\\n'", "a counter"],
  ["an archive", "cat /root/look.tar", "does not answer|empty or cut"],
  ["an answer without end", "yes", "more than"],
])("a change that is answered by %s fails at once and is not tried again", async (_what, script, reason) => {
  await answers({ apply: script });
  const failure = await failureOf(change());
  expect(failure).toMatchObject({ code: "bad-answer", step: "apply" });
  expect(failure.reason).toMatch(new RegExp(reason));
  expect((await hostile.run("grep -c apply /root/calls")).stdout).toBe("1\n");
});

test.each([
  ["nothing", ":"],
  ["the answer of another step", `echo applied ${machine}`],
  ["silence", "sleep 1000"],
])("a confirmation that is answered by %s is no confirmation", async (_what, script) => {
  await answers({ apply: `echo applied ${machine}`, confirm: script, result: "echo unknown" });
  const failure: unknown = await change().catch((error: unknown) => error);
  expect(failure).toMatchObject({ reasons: [expect.stringContaining("neither confirmed nor seen undone") as unknown] });
});

test("words of a stranger before any key was seen neither choose the error nor reach the terminal raw", async () => {
  const words = Buffer.from("\u001b]0;owned\u0007 All configured authentication methods failed");
  const payload = Buffer.concat([Buffer.from([1, 0, 0, 0, 2, 0, 0, 0, words.length]), words, Buffer.alloc(4)]);
  const padding = 8 - ((payload.length + 5) % 8) + 8;
  const packet = Buffer.concat([Buffer.alloc(5), payload, Buffer.alloc(padding)]);
  packet.writeUInt32BE(1 + payload.length + padding, 0);
  packet.writeUInt8(padding, 4);
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write("SSH-2.0-stranger\r\n");
    socket.write(packet);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.on("listening", resolve));
  const { port } = server.address() as { port: number };
  const target = {
    connection: { host: "127.0.0.1", port, dialErrorLimit: 1, hostKey: hostile.hostKey },
    privateKeyPath: clientKeyPath,
  };
  const error = (await pooledHost(target)
    .snapshots.look()
    .catch((reason: unknown) => reason)) as HostError;
  server.close();
  expect(error.failure).toMatchObject({ code: "unreachable", host: `root@127.0.0.1:${port}` });
  expect(error.message).toContain("\\x1b]0;owned");
  expect(error.message).not.toMatch(CONTROLS);
});

test("a healthy host beside them is read and changed as ever", async () => {
  await answers({ apply: "printf 'refused\\nrefuse 999 refused no\\n'" });
  const [bad, good] = await Promise.allSettled([
    change(),
    rule.up({ ...accessOf(healthy), users: ["myself"], commands: [{ path: "/usr/bin/who" }] }),
  ]);
  expect(bad.status).toBe("rejected");
  expect(good).toEqual({ status: "fulfilled", value: true });
  expect(await rule.refresh()).toEqual({});
  await rule.delete();
});
