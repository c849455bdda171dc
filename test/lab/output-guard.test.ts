import { setTimeout as sleep } from "node:timers/promises";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, check, Driven, type Props } from "./drive";

// The article's machines: a server with two VMs' consoles, a laptop with several users, one of whom has no business there.
const SERVER = "203.0.113.2";
const SERVER6 = "2001:db8:5::2";
const OTHER_SERVER = "203.0.113.3";
const PORTS = [20002, 20003, 20004];
const UNGUARDED = 20011;

let host: LabHost;

beforeAll(async () => {
  host = await startHost();
  await host.run("ip address add 198.51.100.22/32 dev eth0; useradd nobodys");
  await host.outside(`
    ip address add ${SERVER}/32 dev labsw; ip address add ${OTHER_SERVER}/32 dev labsw; ip address add ${SERVER6}/128 dev labsw nodad
    ip route add 198.51.100.22/32 via ${host.address}`);
  for (const port of [...PORTS, UNGUARDED]) {
    for (const [version, address] of [
      [4, SERVER],
      [4, OTHER_SERVER],
      [6, SERVER6],
    ]) {
      await host.outside(
        `setsid -f sh -c 'while :; do echo hello from ${port} | nc -${version} -N -l ${address} ${port}; done' >/dev/null 2>&1 </dev/null`,
      );
    }
  }
});
afterAll(() => host.down());

interface Way {
  readonly to?: string;
  readonly from?: string;
  readonly group?: string;
}

/** What a user gets when he connects: "hello from 20002", or nothing. */
async function connect(user: string, port: number, { to = SERVER, from, group }: Way = {}): Promise<string> {
  const as =
    group === undefined
      ? `--reuid ${user} --regid $(id -g ${user}) --clear-groups`
      : `--reuid ${user} --regid ${group} --clear-groups`;
  const source = from === undefined ? "" : `-s ${from}`;
  const { stdout } = await host.run(`setpriv ${as} -- timeout 3 nc -w 2 ${source} ${to} ${port} </dev/null || true`);
  return stdout.trim();
}

const hello = (port: number) => `hello from ${port}`;
const guardArgs = (args: Props = {}) => ({ ...accessOf(host), ports: ["20001-20010"], ...args });
const chainArgs = (args: Props) => ({ ...accessOf(host), ...args });
const only = (to: string, port: number, more: Props = {}) => [{ to, ports: [port], ...more }];

/** Resources for as long as `work` lasts. */
async function during(made: readonly Promise<Driven>[], work: (resources: readonly Driven[]) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(made);
  const resources = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  try {
    for (const result of results) if (result.status === "rejected") throw result.reason;
    await work(resources);
  } finally {
    await Promise.all(resources.map((resource) => resource.delete()));
  }
}

const guard = (args: Props = {}) => Driven.create("OutputGuard", "spice", guardArgs(args));
const chain = (name: string, args: Props) => Driven.create("UserOutputChain", name, chainArgs(args));

test("without a guard everybody may go there", async () => {
  for (const user of ["myself", "nobodys", "root"]) expect(await connect(user, 20002)).toBe(hello(20002));
  expect(await connect("myself", 20002, { to: SERVER6 })).toBe(hello(20002));
});

test("each user reaches his own port, nobody else does, root as the guard says; other ports are free", async () => {
  const made = [
    guard(),
    chain("vm1", { user: "myself", allow: only(SERVER, 20002) }),
    chain("vm2", { user: "mybro", allow: only(SERVER, 20004) }),
  ];
  await during(made, async ([guarded]) => {
    expect(await connect("myself", 20002)).toBe(hello(20002));
    expect(await connect("mybro", 20004)).toBe(hello(20004));
    expect(await connect("myself", 20004)).toBe("");
    expect(await connect("mybro", 20002)).toBe("");
    expect(await connect("nobodys", 20002)).toBe("");
    // Another server has the same port, and so has the other IP version.
    expect(await connect("myself", 20002, { to: OTHER_SERVER })).toBe("");
    expect(await connect("myself", 20002, { to: SERVER6 })).toBe("");
    expect(await connect("root", 20002)).toBe(hello(20002));
    await guarded?.up(guardArgs({ root: "drop" }));
    expect(await connect("root", 20002)).toBe("");
    expect(await connect("myself", 20002)).toBe(hello(20002));
    expect(await connect("nobodys", UNGUARDED)).toBe(hello(UNGUARDED));
    await guarded?.up(guardArgs({ ports: [20004] }));
    expect(await connect("nobodys", 20002)).toBe(hello(20002));
    expect(await connect("nobodys", 20004)).toBe("");
    await guarded?.up(guardArgs({ addresses: [OTHER_SERVER] }));
    expect(await connect("nobodys", 20002)).toBe(hello(20002));
    expect(await connect("nobodys", 20002, { to: OTHER_SERVER })).toBe("");
  });
});

test("IPv6, a source, a group", async () => {
  const made = [
    guard(),
    chain("six", { user: "myself", allow: only(SERVER6, 20002) }),
    chain("source", { user: "mybro", allow: only(SERVER, 20002, { from: "198.51.100.22" }) }),
    chain("group", { group: "spicegrp", allow: only(SERVER, 20003) }),
  ];
  await during(made, async () => {
    expect(await connect("myself", 20002, { to: SERVER6 })).toBe(hello(20002));
    expect(await connect("nobodys", 20002, { to: SERVER6 })).toBe("");
    expect(await connect("mybro", 20002, { from: "198.51.100.22" })).toBe(hello(20002));
    expect(await connect("mybro", 20002)).toBe("");
    expect(await connect("nobodys", 20003, { group: "spicegrp" })).toBe(hello(20003));
    expect(await connect("nobodys", 20003)).toBe("");
  });
});

type Kind = "guard" | "drop" | "chains";
const ORDERS: readonly (readonly [string, readonly Kind[]])[] = [
  ["alone, and then the chains", ["drop", "chains"]],
  ["alone, behind the chains", ["chains", "drop"]],
  ["beside a guard, the chains last", ["drop", "guard", "chains"]],
  ["beside a guard, which comes last", ["chains", "drop", "guard"]],
];

test.each(ORDERS)("a default drop on output lets pass what users' chains open, and nothing else: %s", async (_title, order) => {
  const make: Readonly<Record<Kind, () => Promise<Driven>[]>> = {
    guard: () => [guard()],
    drop: () => [
      Driven.create("DefaultDrop", "output", {
        ...accessOf(host),
        hook: "output",
        management: { sources: ["198.18.0.0/16"] },
        // Open to everybody, but for what a guard says.
        allow: [{ protocol: "tcp", ports: [20004] }],
      }),
    ],
    chains: () => [
      chain("vm1", { user: "myself", allow: [...only(SERVER, 20002, { out: "eth0" }), ...only(SERVER6, 20002)] }),
      chain("elsewhere", { user: "mybro", allow: only(SERVER, 20003, { out: "lo" }) }),
      chain("group", { group: "spicegrp", allow: only(SERVER, 20003) }),
    ],
  };
  const reached = () =>
    Promise.all([
      connect("myself", 20002),
      connect("myself", 20002, { to: SERVER6 }),
      connect("nobodys", 20003, { group: "spicegrp" }),
      connect("nobodys", 20004),
      connect("myself", 20003),
      connect("mybro", 20002),
      connect("mybro", 20003),
      connect("root", 20002),
      connect("myself", UNGUARDED),
    ]);
  const made: Driven[] = [];
  try {
    for (const kind of order) made.push(...(await Promise.all(make[kind]())));
    const byName = order.includes("guard") ? "" : hello(20004);
    expect(await reached()).toEqual([hello(20002), hello(20002), hello(20003), byName, "", "", "", "", ""]);
    for (const one of made) expect(await one.refresh()).toEqual({});
  } finally {
    for (const one of made.toReversed()) await one.delete();
  }
  expect(await Promise.all([connect("myself", UNGUARDED), connect("mybro", 20002), connect("root", 20003)])).toEqual(
    [UNGUARDED, 20002, 20003].map(hello),
  );
});

/** "HH:MM" so many minutes from now, in a zone so many hours east of UTC. */
function clock(minutes: number, east = 0): string {
  return new Date(Date.now() + minutes * 60_000 + east * 3_600_000).toISOString().slice(11, 16);
}
const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const weekday = (minutes: number, east = 0) =>
  WEEKDAYS[new Date(Date.now() + minutes * 60_000 + east * 3_600_000).getUTCDay()] ?? "";
const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

test.each([
  ["hours around now", { hours: `${clock(-60)}-${clock(60)}` }, undefined, true],
  ["hours that begin later", { hours: `${clock(60)}-${clock(120)}` }, undefined, false],
  ["today", { days: [weekday(0)] }, undefined, true],
  ["another weekday", { days: [weekday(2 * 24 * 60), weekday(3 * 24 * 60)] }, undefined, false],
  ["today and now, west of UTC", { days: [weekday(-60, -7)], hours: `${clock(-60, -7)}-${clock(60, -7)}` }, "-07:00", true],
  ["today and now, far east of UTC", { days: [weekday(-60, 13)], hours: `${clock(-60, 13)}-${clock(60, 13)}` }, "+13:00", true],
  ["the same hours said of another zone", { hours: `${clock(-60, 13)}-${clock(60, 13)}` }, "+09:00", false],
  ["from yesterday to tomorrow", { firstDate: day(-1), lastDate: day(1) }, undefined, true],
  ["from the day after tomorrow", { firstDate: day(2) }, undefined, false],
  ["until the day before yesterday", { lastDate: day(-2) }, undefined, false],
])("%s", async (_title, when, utcOffset, passes) => {
  const allow = only(SERVER, 20002, { when });
  await during([guard(), chain("window", { user: "myself", allow, utcOffset })], async ([, window]) => {
    expect(await connect("myself", 20002)).toBe(passes ? hello(20002) : "");
    expect(await window?.refresh()).toEqual({});
  });
});

/** A connection of a user that stays open and sends a line a second; answers how many lines of it arrive from now on. */
async function openConnection(port: number): Promise<{ arriving: () => Promise<number>; close: () => Promise<void> }> {
  const folder = (await host.run("mktemp -d")).stdout.trim();
  await host.outside(`
    setsid -f sh -c 'nc -l ${SERVER} ${port} >${folder}/got' >/dev/null 2>&1 </dev/null
    for i in $(seq 100); do ss -ltn | grep -q ':${port} ' && exit; sleep 0.1; done; exit 1`);
  await host.run(
    `chmod 755 ${folder}; setsid -f setpriv --reuid myself --regid myself --clear-groups sh -c 'while sleep 0.2; do echo line; done | nc ${SERVER} ${port}' >/dev/null 2>&1 </dev/null`,
  );
  const count = async () => Number((await host.run(`wc -l <${folder}/got`)).stdout);
  for (let i = 0; i < 100 && (await count()) === 0; i++) await sleep(100);
  return {
    arriving: async () => {
      const before = await count();
      await sleep(1500);
      return (await count()) - before;
    },
    close: async () => {
      await host.run(`pkill -u myself; rm -rf ${folder}; true`);
    },
  };
}

// A port of its own for each: the far end of a connection that was cut may wait for a long time.
test.each([
  ["cut", 21212],
  ["keep", 21213],
])("when its window closes, an open connection is as the guard says: %s", async (openConnections, port) => {
  const allow = (when: Props) => only(SERVER, port, { when });
  const open = { hours: `${clock(-60)}-${clock(60)}` };
  const closed = { hours: `${clock(60)}-${clock(120)}` };
  await during(
    [guard({ ports: [port], openConnections }), chain("window", { user: "myself", allow: allow(open) })],
    async ([, window]) => {
      const connection = await openConnection(port);
      try {
        expect(await connection.arriving()).toBeGreaterThan(0);
        await window?.up(chainArgs({ user: "myself", allow: allow(closed) }));
        const lines = await connection.arriving();
        if (openConnections === "cut") expect(lines).toBe(0);
        else expect(lines).toBeGreaterThan(0);
      } finally {
        await connection.close();
      }
    },
  );
});

/** A stream of lines between the host's user "myself" and a server outside, each way as often as it is said; answers how many bytes have arrived. */
async function stream(port: number, { server = "sleep 1000", client = "sleep 1000" }): Promise<() => Promise<number>> {
  await host.outside(`rm -f /tmp/got.${port}
    setsid -f sh -c '{ ${server}; } | nc -l ${SERVER} ${port} >/tmp/got.${port}' >/dev/null 2>&1 </dev/null
    for i in $(seq 100); do ss -ltn | grep -q ':${port} ' && exit; sleep 0.1; done; exit 1`);
  await host.run(`setsid -f setpriv --reuid myself --regid myself --clear-groups sh -c '{ echo hello; ${client}; } | nc ${SERVER} ${port}' >/dev/null 2>&1 </dev/null
    for i in $(seq 100); do [ -s /tmp/got.${port} ] && exit; sleep 0.1; done; exit 1`);
  return async () => Number((await host.run(`stat -c %s /tmp/got.${port}`)).stdout);
}

const often = "while sleep 0.1; do echo line; done";
/** How much more arrives in a while, of each. */
async function growth(counts: readonly (() => Promise<number>)[]): Promise<number[]> {
  const sizes = () => Promise.all(counts.map((count) => count()));
  await sleep(400);
  const before = await sizes();
  await sleep(1200);
  const after = await sizes();
  return after.map((size, index) => size - (before[index] ?? 0));
}

// Each sends to the server; in the second of each pair the server speaks first after the guard has come.
const [CUT_QUIET, CUT_TALKS, KEPT_QUIET, KEPT_TALKS, ANSWERED] = [21221, 21222, 21223, 21224, 21225];
test.each([
  ["that has never followed connections", "true"],
  [
    "that follows connections already",
    "nft 'table inet adm { chain c { type filter hook output priority 0; ct state new counter; }; }'",
  ],
])("a connection that is open when the guard comes is cut or kept as the guard says, on a host %s", async (_title, before) => {
  await host.run(before);
  const ways = {
    quiet: { client: often },
    talks: { client: "while sleep 0.6; do echo line; done", server: "while sleep 0.02; do echo tick; done" },
  };
  const open = await Promise.all([
    stream(CUT_QUIET, ways.quiet),
    stream(CUT_TALKS, ways.talks),
    stream(KEPT_QUIET, ways.quiet),
    stream(KEPT_TALKS, ways.talks),
  ]);
  const guards = [
    Driven.create("OutputGuard", "cuts", guardArgs({ ports: [CUT_QUIET, CUT_TALKS, ANSWERED] })),
    Driven.create("OutputGuard", "keeps", guardArgs({ ports: [KEPT_QUIET, KEPT_TALKS], openConnections: "keep" })),
  ];
  try {
    await during(guards, async () => {
      const isAsSaid = async () => {
        const [cutQuiet, cutTalks, ...kept] = await growth(open);
        expect([cutQuiet, cutTalks]).toEqual([0, 0]);
        for (const bytes of kept) expect(bytes).toBeGreaterThan(0);
      };
      await isAsSaid();
      // A service of an ordinary user, opened from a guarded port outside: what it sends are answers.
      await host.run(`setsid -f setpriv --reuid nobodys --regid nobodys --clear-groups sh -c '${often} | nc -l ${host.address} 8080' >/dev/null 2>&1 </dev/null
        for i in $(seq 100); do ss -ltn | grep -q ':8080 ' && exit; sleep 0.1; done; exit 1`);
      await host.outside(
        `rm -f /tmp/answered; setsid -f sh -c 'sleep 1000 | nc -s ${SERVER} -p ${ANSWERED} ${host.address} 8080 >/tmp/answered' >/dev/null 2>&1 </dev/null`,
      );
      open.push(async () => Number((await host.run("stat -c %s /tmp/answered")).stdout));
      await isAsSaid();
      await host.run("drawbridge-host load");
      await isAsSaid();
      expect(await connect("myself", KEPT_QUIET)).toBe("");
    });
  } finally {
    await host.run("pkill -u myself; pkill -u nobodys; nft delete table inet adm 2>/dev/null; true");
    await host.outside("pkill -f 'nc -[ls] 203[.]0[.]113[.]2'; true");
  }
});

test("a port that the host publishes by destination NAT is no way round the guard", async () => {
  await host.run(`nft -f - <<'end'
table ip published {
	chain output { type nat hook output priority -100; ip daddr ${host.address} tcp dport 9999 dnat to ${SERVER}:20002; }
	chain post { type nat hook postrouting priority 100; oifname "eth0" masquerade; }
}
end`);
  const published = () => connect("nobodys", 9999, { to: host.address });
  try {
    expect(await published()).toBe(hello(20002));
    await during([guard({ addresses: [SERVER] })], async () => {
      expect(await published()).toBe("");
      // What stays on the host passes, by whatever address of its own.
      await host.run("setsid -f sh -c 'while :; do echo here | nc -N -l 20002; done' >/dev/null 2>&1 </dev/null");
      for (let i = 0; i < 50 && (await connect("nobodys", 20002, { to: "127.0.0.1" })) === ""; i++) await sleep(100);
      expect(await connect("nobodys", 20002, { to: host.address })).toBe("here");
    });
  } finally {
    await host.run("nft delete table ip published; pkill -f 'nc -N -l 20002$'; true");
  }
});

test("where an administrator has taken the port out of connection tracking, the guard holds all the same", async () => {
  await host.run(`nft -f - <<'end'
table ip untracked {
	chain output { type filter hook output priority -300; tcp dport 20002 notrack; }
	chain input { type filter hook prerouting priority -300; tcp sport 20002 notrack; }
}
end`);
  try {
    expect(await connect("nobodys", 20002)).toBe(hello(20002));
    for (const openConnections of ["cut", "keep"]) {
      await during([guard({ openConnections }), chain("vm1", { user: "myself", allow: only(SERVER, 20002) })], async () => {
        expect([openConnections, await connect("nobodys", 20002)]).toEqual([openConnections, ""]);
        expect([openConnections, await connect("myself", 20002)]).toEqual([openConnections, hello(20002)]);
      });
    }
  } finally {
    await host.run("nft delete table ip untracked");
  }
});

test("what a program has written when it ends arrives if its window is open, and does not if it has closed", async () => {
  const [honest, late] = [21231, 21232];
  await host.run("cat >/tmp/queue.pl; chmod 644 /tmp/queue.pl", {
    stdin: `use Socket; use Fcntl; my ($to, $port) = @ARGV; $| = 1;
socket(S, PF_INET, SOCK_STREAM, 6) or die; setsockopt(S, SOL_SOCKET, SO_SNDBUF, pack("l", 3000000));
connect(S, sockaddr_in($port, inet_aton($to))) or die "connect: $!"; syswrite(S, "hello\n");
until (-e "/tmp/now.$port") { select(undef, undef, undef, 0.05) }
fcntl(S, F_SETFL, O_NONBLOCK); my $total = 6;
while (my $sent = syswrite(S, "x" x 65536)) { $total += $sent }
print $total;`,
  });
  const queued = async (port: number) => {
    await host.outside(`rm -f /tmp/got.${port} /tmp/now.${port}
      setsid -f sh -c 'nc -l ${SERVER} ${port} | { head -c 6; sleep 2; cat; } >/tmp/got.${port}' >/dev/null 2>&1 </dev/null
      for i in $(seq 100); do ss -ltn | grep -q ':${port} ' && exit; sleep 0.1; done; exit 1`);
    await host.run(
      `setsid -f setpriv --reuid myself --regid myself --clear-groups perl /tmp/queue.pl ${SERVER} ${port} >/tmp/queued.${port} 2>&1 </dev/null
      for i in $(seq 100); do [ -s /tmp/got.${port} ] && exit; sleep 0.1; done; exit 1`,
    );
  };
  const end = async (port: number) =>
    Number(
      (
        await host.run(
          `touch /tmp/now.${port}; for i in $(seq 100); do [ -s /tmp/queued.${port} ] && break; sleep 0.1; done; cat /tmp/queued.${port}`,
        )
      ).stdout,
    );
  const arrived = async (port: number) => Number((await host.run(`stat -c %s /tmp/got.${port}`)).stdout);
  const allow = (lastDate: string) =>
    chainArgs({ user: "myself", allow: only(SERVER, late, { when: { lastDate } }).concat(only(SERVER, honest)) });
  await during(
    [guard({ ports: [honest, late] }), Driven.create("UserOutputChain", "window", allow(day(2)))],
    async ([, window]) => {
      await Promise.all([queued(honest), queued(late)]);
      const written = await end(honest);
      expect(written).toBeGreaterThan(1_000_000);
      for (let i = 0; i < 100 && (await arrived(honest)) < written; i++) await sleep(100);
      expect(await arrived(honest)).toBe(written);
      await window?.up(allow(day(-2)));
      expect(await end(late)).toBeGreaterThan(1_000_000);
      await sleep(4000);
      expect(await arrived(late)).toBe(6);
    },
  );
});

test("what is refused is counted and logged", async () => {
  await during([guard()], async () => {
    await connect("nobodys", 20002);
    const { stdout } = await host.run("nft list counters | grep -A1 denied");
    expect(stdout).toMatch(/packets [1-9]/);
    const rules = (await host.run("nft list table inet drawbridge")).stdout;
    expect(rules).toMatch(/limit rate 10\/minute.* log prefix "drawbridge output-guard-spice-[0-9a-f]{8}: " flags skuid/);
  });
});

test("a rehearsal counts and lets pass", async () => {
  await during([guard({ mode: "log" })], async () => {
    expect(await connect("nobodys", 20002)).toBe(hello(20002));
    expect((await host.run("nft list counters | grep -A1 denied")).stdout).toMatch(/packets [1-9]/);
  });
});

test("a user or a group that does not exist is an error of that resource alone", async () => {
  const results = await Promise.allSettled([
    guard(),
    chain("nobody", { user: "doesnotexist", allow: only(SERVER, 20002) }),
    chain("nogroup", { group: "doesnotexist", allow: only(SERVER, 20002) }),
    chain("good", { user: "myself", allow: only(SERVER, 20002) }),
  ]);
  try {
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: { failure: { reason: "user: there is no user doesnotexist on this host" } } });
    expect(results[2]).toMatchObject({
      reason: {
        failure: {
          reason: expect.stringMatching(/^group: there is no group doesnotexist on this host; .*SystemGroup/) as unknown,
        },
      },
    });
  } finally {
    await Promise.all(results.flatMap((result) => (result.status === "fulfilled" ? [result.value.delete()] : [])));
  }
});

test("a number that comes to belong to somebody else is drift, opens nothing for him after the next load, and up repairs", async () => {
  const args = { user: "temp", allow: only(SERVER, 20002) };
  await host.run("useradd -u 4001 temp");
  await during([guard(), chain("temp", args)], async ([, temp]) => {
    expect(await connect("temp", 20002)).toBe(hello(20002));
    await host.run("userdel -f temp; useradd -u 4001 heir");
    await sleep(1100);
    expect(Object.entries((await temp?.refresh()) ?? {}).map(([id, { found }]) => `${id}: ${found}`)).toEqual(
      expect.arrayContaining([
        "needs #1: user: there is no user temp on this host",
        expect.stringMatching(/^inet damaged: map users: .*4001/),
      ]),
    );
    await host.run("drawbridge-host load");
    expect(await connect("heir", 20002)).toBe("");
    await host.run("useradd -u 4002 temp");
    await sleep(1100);
    expect(Object.keys((await temp?.refresh()) ?? {})).toContain("inet damaged: map users");
    expect(await temp?.up(chainArgs(args))).toBe(true);
    expect(await connect("temp", 20002)).toBe(hello(20002));
    expect(await connect("heir", 20002)).toBe("");
  });
  await host.run("userdel -f temp; userdel -f heir");
});

test("weekdays are refused where the kernel counts them by another zone than hours, and refresh names it when that comes later", async () => {
  const args = (when: Props) => ({ user: "myself", allow: only(SERVER, 20002, { when }) });
  // What `timedatectl set-timezone` does is the whole machine's; what asks for it is not.
  const move = () => host.run("printf '#!/bin/sh\\nprintf %%s -60\\n' >/usr/local/sbin/perl; chmod 755 /usr/local/sbin/perl");
  const back = () => host.run("rm -f /usr/local/sbin/perl");
  await during([guard(), chain("days", args({ days: ["Monday"] }))], async ([, days]) => {
    expect(await days?.refresh()).toEqual({});
    try {
      await move();
      await sleep(1100);
      expect(await days?.refresh()).toEqual({
        "needs #1": { wanted: undefined, found: expect.stringMatching(/^days: .*-60 minutes west of UTC/) as unknown },
      });
      await expect(chain("more", args({ days: ["Monday"] }))).rejects.toMatchObject({
        failure: { reason: expect.stringMatching(/^days: .*timedatectl set-timezone/) as unknown },
      });
      await (await chain("hours", args({ hours: "08:00-17:00" }))).delete();
    } finally {
      await back();
    }
    await sleep(1100);
    expect(await days?.refresh()).toEqual({});
  });
});

test("two names of one number, and several resources of one user, open all that each of them says", async () => {
  await host.run("useradd -o -u $(id -u mybro) twin");
  const made = [
    guard(),
    chain("one", { user: "mybro", allow: only(SERVER, 20002) }),
    chain("two", { user: "mybro", allow: only(SERVER, 20003) }),
    chain("twin", { user: "twin", allow: only(SERVER, 20004) }),
  ];
  await during(made, async (resources) => {
    for (const port of PORTS) expect(await connect("mybro", port)).toBe(hello(port));
    expect(await connect("mybro", 20002, { to: OTHER_SERVER })).toBe("");
    await sleep(1100);
    for (const resource of resources) expect(await resource.refresh()).toEqual({});
  });
  await host.run("userdel -f twin");
});

test("the table that does not load at boot leaves the guarded ports shut for everybody but root", async () => {
  await during([guard(), chain("vm1", { user: "myself", allow: only(SERVER, 20002) })], async ([guarded]) => {
    const { stdout } = await host.run(
      "sed -i 's/^chain .*asked {/&\\n\\tnonsense/' /etc/drawbridge/nft/inet-drawbridge/50-output-guard-*.nft; drawbridge-host load && echo loaded || true",
    );
    expect(stdout).toBe("");
    expect(await connect("myself", 20002)).toBe("");
    expect(await connect("root", 20002)).toBe(hello(20002));
    expect(await connect("nobodys", 20002)).toBe("");
    await sleep(1100);
    expect(Object.keys((await guarded?.refresh()) ?? {}).length).toBeGreaterThan(0);
    await guarded?.up(guardArgs());
    expect(await connect("myself", 20002)).toBe(hello(20002));
  });
});

test.each([
  ["a time zone", { user: "myself", allow: only(SERVER, 1), utcOffset: "Europe/Berlin" }, /utcOffset: .*daylight saving/],
  ["no user and no group", { allow: only(SERVER, 1) }, /^user: /],
  ["both", { user: "myself", group: "spicegrp", allow: only(SERVER, 1) }, /^group: /],
  ["a name for an address", { user: "myself", allow: only("mysrv", 1) }, /^allow\[0\]\.to: .*neither an IPv4 nor an IPv6/],
  ["a port that the kernel has not", { user: "myself", allow: only(SERVER, 65536) }, /^allow\[0\]\.ports\[0\]: /],
  ["a range that runs backwards", { user: "myself", allow: [{ to: SERVER, ports: ["20-10"] }] }, /^allow\[0\]\.ports\[0\]: /],
  [
    "hours that end where they begin",
    { user: "myself", allow: only(SERVER, 1, { when: { hours: "08:00-08:00" } }) },
    /same minute/,
  ],
  [
    "a date that does not exist",
    { user: "myself", allow: only(SERVER, 1, { when: { firstDate: "2026-02-30" } }) },
    /firstDate: /,
  ],
  ["versions mixed", { user: "myself", allow: only(SERVER, 1, { from: "2001:db8::1" }) }, /^allow\[0\]\.from: /],
  [
    "dates turned round",
    { user: "myself", allow: only(SERVER, 1, { when: { firstDate: "2026-03-02", lastDate: "2026-03-01" } }) },
    /lastDate: /,
  ],
])("refused beforehand: %s", async (_title, args, reason) => {
  const { failures } = await check("UserOutputChain", "wrong", chainArgs(args));
  expect(failures.map((failure) => `${failure.property}: ${failure.reason}`)).toEqual([expect.stringMatching(reason)]);
});
