import { HostError } from "../../dist/core/errors";
import { closePool, pooledHost } from "../../dist/host/pool";
import { RemoteHost } from "../../dist/host/remote-host";
import type { Applied, Change } from "../../dist/host/transaction";
import { clientKeyPath, type LabHost, startHost } from "../../tools/lab";
import { change } from "./change";

const DEADLINE = 6;
let host: LabHost;
let longest = 0;

beforeAll(async () => {
  host = await startHost();
  // Another way in, from behind the next hop.
  await host.outside("ip address add 203.0.113.9/32 dev lo; ip -6 address add 2001:db8:99::9/128 dev lo nodad");
});
afterEach(() => {
  jest.restoreAllMocks();
  closePool();
});
afterAll(async () => {
  await host.down();
  process.stderr.write(`longest lock-out: ${(longest / 1000).toFixed(1)} s of ${DEADLINE} s and what the undo takes\n`);
});

const over = (address: string) =>
  pooledHost({
    connection: { host: address, user: "deploy", hostKey: host.hostKey, perDialTimeout: 2 },
    become: true,
    privateKeyPath: clientKeyPath,
  });

const table = (family: string, name: string, text: string) =>
  change(name, { [`/etc/drawbridge/nft/${family}-drawbridge/50-${name}.nft`]: text });
const links = (name: string, ...lines: string[]) =>
  change(name, { [`/etc/drawbridge/links/10-${name}`]: lines.map((line) => `link ${line}\n`).join("") });
const innocent = (name: string) =>
  table(
    "inet",
    name,
    `# counter ${name}.to.192.0.2.1\nchain ${name} {\n\ttype filter hook output priority 0; policy accept;\n\tip daddr 192.0.2.1 counter name "${name}.to.192.0.2.1" drop\n}\n`,
  );

const drop = (name: string, match: string) =>
  table(
    "inet",
    name,
    `# counter ${name}.deny ssh\n`.replace(" ssh", "") +
      `chain ${name} {\n\ttype filter hook input priority 0; policy accept;\n\t${match} counter name "${name}.deny" drop\n}\n`,
  );
const filter = (name: string, hook: string, policy: string, ...rules: string[]) =>
  table(
    "inet",
    name,
    `chain ${name} {\n\ttype filter hook ${hook} priority 0; policy ${policy};\n${rules.map((rule) => `\t${rule}\n`).join("")}}\n`,
  );
const frames = (name: string, rule: string) =>
  table("netdev", name, `chain ${name} {\n\ttype filter hook ingress device "eth0" priority 0; policy accept;\n\t${rule}\n}\n`);

/** Tries the change beside an innocent one, and answers what was said of it; the host must be as before, less the innocent one. */
async function lockOut(bad: Change, address = host.address, meanwhile?: () => Promise<unknown>): Promise<HostError> {
  const pooled = over(address);
  const before = await host.fingerprint();
  if (meanwhile) {
    jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async function (this: RemoteHost, deadline) {
      await meanwhile();
      await this.reconnect(deadline);
    });
  }
  const good = innocent(`good-${bad.object}`);
  const started = Date.now();
  // What passes by itself would let a second try succeed.
  const changes = meanwhile ? [bad] : [good, bad];
  const tried = await Promise.allSettled(changes.map((each) => pooled.change(each)));
  const [second, first] = tried.reverse();
  longest = Math.max(longest, Date.now() - started);
  if (second?.status !== "rejected") throw new Error(`${bad.label} locks nobody out`);
  if (!(second.reason instanceof HostError)) throw second.reason;
  if (!meanwhile) {
    expect(first).toEqual({ status: "fulfilled", value: expect.anything() as unknown });
    await undo(pooled, good);
    expect(await host.fingerprint()).toBe(before);
  }
  return second.reason;
}

function undo(pooled: ReturnType<typeof over>, { puts, ...others }: Change): Promise<Applied> {
  return pooled.change({ ...others, puts: [], drops: puts.map(({ path }) => path) });
}

describe("a change that locks the administrator out is undone by the host, which says what it saw", () => {
  test.each([
    ["port 22 over IPv4", () => drop("v4", "meta nfproto ipv4 tcp dport 22"), () => host.address],
    ["port 22 over IPv6", () => drop("v6", "meta nfproto ipv6 tcp dport 22"), () => host.address6],
  ])("%s is dropped", async (_what, bad, address) => {
    const { failure } = await lockOut(bad(), address());
    expect(failure).toMatchObject({ code: "undone" });
    expect(failure.reason).toMatch(/Test v[46]: its rule "deny" has met [1-9]\d* packets since/);
    expect(failure.reason).toMatch(new RegExp(`our connection came from \\S+ to ${address()} by eth0`));
  });

  test.each([
    ["everything that comes in is dropped", () => filter("default-deny", "input", "drop", 'iifname "lo" accept')],
    ["everything that goes out is dropped", () => filter("deny-out", "output", "drop")],
    [
      "the first stateful rule takes the running session for a new one",
      () => filter("stateful", "input", "accept", "ct state established,related accept", "tcp dport 22 drop"),
    ],
  ])("%s", async (_what, bad) => {
    expect((await lockOut(bad())).failure).toMatchObject({ code: "undone" });
  });

  test("the first stateful rule that lets new connections in may kill the session and stands", async () => {
    const pooled = over(host.address);
    const good = filter(
      "stateful-good",
      "input",
      "drop",
      'iifname "lo" accept',
      "ct state established,related accept",
      "ct state new tcp dport 22 tcp flags & (syn | ack) == syn accept",
      "ether type arp accept".replace("ether type arp", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }"),
    );
    await pooled.change(good);
    await undo(pooled, good);
  });

  test("ARP is dropped, which the cached neighbour would hide", async () => {
    const { failure } = await lockOut(frames("no-arp", "ether type arp drop"));
    expect(failure).toMatchObject({ code: "undone" });
    expect(failure.reason).toContain("nobody answers for 198.18.0.1 (ARP, neighbour discovery)");
  });

  test("neighbour discovery is dropped", async () => {
    const { failure } = await lockOut(
      filter("no-nd", "input", "accept", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } drop"),
      host.address6,
    );
    expect(failure).toMatchObject({ code: "undone" });
    expect(failure.reason).toContain("nobody answers for 2001:db8:77::1 (ARP, neighbour discovery)");
  });

  test("the card of the connection goes into a bridge without its address", async () => {
    const { failure } = await lockOut(links("move", "br9 is bridge", "br9 up 1", "eth0 master br9"));
    expect(failure).toMatchObject({ code: "undone" });
  });

  test("its address is another one", async () => {
    const { failure } = await lockOut(links("address", `eth0 addresses 198.18.99.99/16,${host.address6}/64`));
    expect(failure).toMatchObject({ code: "undone" });
    expect(failure.reason).toContain(`no interface has the address ${host.address}`);
  });

  test("its next hop is a wrong one", async () => {
    await host.outside(`ip route replace ${host.address}/32 dev labsw src 203.0.113.9`);
    await host.run("ip route replace default via 198.18.0.1 dev eth0 proto static");
    const { failure } = await lockOut(links("gateway", "eth0 gateway 198.18.77.77"));
    expect(failure).toMatchObject({ code: "undone" });
    expect(failure.reason).toContain("nobody answers for 198.18.77.77 (ARP, neighbour discovery)");
    await host.outside(`ip route delete ${host.address}/32 dev labsw`);
  });

  test.each([
    ["sudo is taken away from its user", "mv /etc/sudoers /etc/sudoers.away", "mv /etc/sudoers.away /etc/sudoers", /sudo/],
    ["its key is gone", "mv /home/deploy/.ssh /home/deploy/.away", "mv /home/deploy/.away /home/deploy/.ssh", /authentication/i],
    ["its shell is gone", "usermod -s /bin/false deploy", "usermod -s /bin/sh deploy", /does not answer|no answer|ended/i],
  ])("%s meanwhile", async (_what, breaks, heals, says) => {
    const bad = innocent("meanwhile");
    const before = await host.run("cp /etc/passwd /run/passwd; nft list tables");
    const healing = (async () => {
      await host.run(
        "for i in $(seq 900); do [ -e /run/broken ] && break; sleep 0.1; done; for i in $(seq 600); do nft list tables | grep -q drawbridge || break; sleep 0.1; done; rm -f /run/broken",
        { timeoutSeconds: 100 },
      );
      expect((await host.run("nft list tables")).stdout).toBe(before.stdout);
      await host.run(heals);
    })();
    const { failure } = await lockOut(bad, host.address, () => host.run(`${breaks}; : >/run/broken`));
    await healing;
    await host.run("cat /run/passwd >/etc/passwd");
    expect(failure.reason).toMatch(says);
  });

  test("where several of one wave would, the innocent stand, and the search for the guilty locks out for less than one deadline more", async () => {
    const pooled = over(host.address);
    const before = await host.fingerprint();
    const attempts: { deadline: number; stands: boolean }[] = [];
    const call = Object.getOwnPropertyDescriptor(RemoteHost.prototype, "call")?.value as (...args: unknown[]) => Promise<Buffer>;
    jest.spyOn(RemoteHost.prototype, "call").mockImplementation(async function (this: RemoteHost, command, stdin, options) {
      if (command === "apply") {
        attempts.push({ deadline: Number(/^deadline (\d+)$/m.exec(stdin.toString("latin1"))?.[1]), stands: false });
      }
      const answer = await call.call(this, command, stdin, options);
      const last = attempts.at(-1);
      if (command === "confirm" && last) last.stands = answer.toString("utf8").startsWith("confirmed");
      return answer;
    });
    const deadlineSeconds = 16;
    const good = ["one", "two"].map((name) => ({ ...innocent(`good-${name}`), deadlineSeconds }));
    const bad = ["one", "two", "three", "four"].map((name) => ({ ...drop(`bad-${name}`, "tcp dport 22"), deadlineSeconds }));
    const tried = await Promise.allSettled([...good, ...bad].map((each) => pooled.change(each)));
    expect(tried.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "rejected", "rejected", "rejected"]);
    const [first, ...search] = attempts.filter(({ stands }) => !stands);
    expect(first).toEqual({ deadline: deadlineSeconds, stands: false });
    expect(search.length).toBeGreaterThan(0);
    expect(search.reduce((sum, { deadline }) => sum + deadline, 0)).toBeLessThanOrEqual(deadlineSeconds);
    jest.restoreAllMocks();
    await Promise.all(good.map((each) => undo(pooled, each)));
    expect(await host.fingerprint()).toBe(before);
  });
});
