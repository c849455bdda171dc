import { createServer, type Socket, connect } from "node:net";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { closePool, pooledHost } from "../../dist/host/pool";
import { HostError } from "../../dist/core/errors";
import { openSsh } from "../../dist/host/ssh";
import { clientKeyPath, type HostOptions, type LabHost, startHost } from "../../tools/lab";
import { change } from "./change";
import { waitFor } from "./drill";

const WAVES = process.env["DRAWBRIDGE_DRILLS"] === "all" ? 13 : 4;
const PER_WAVE = 8;

let host: LabHost;
const start = async (options: HostOptions = {}) => {
  host = await startHost(options);
};
afterEach(async () => {
  closePool();
  await host.down();
});

/** A run in waves, as the engine makes it; answers what it said meanwhile. */
async function run(by: { readonly host: string; readonly port?: number } = { host: host.address }): Promise<string> {
  const said = new Set<string>();
  const started = Date.now();
  const pooled = pooledHost({
    connection: { ...by, user: "deploy", hostKey: host.hostKey },
    become: true,
    privateKeyPath: clientKeyPath,
  });
  for (let wave = 0; wave < WAVES; wave++) {
    const names = Array.from({ length: PER_WAVE }, (_, index) => `rule-${wave}-${index}`);
    const options = { deadlineSeconds: 90, onStatus: (text: string) => void said.add(text) };
    await Promise.all(
      names.map((name) =>
        pooled.change(change(name, { [`/etc/sudoers.d/drawbridge-${name}`]: "myself ALL=(root) /usr/bin/id\n" }, options)),
      ),
    );
  }
  expect((await host.run("ls /etc/sudoers.d/drawbridge-* | wc -l")).stdout.trim()).toBe(String(WAVES * PER_WAVE));
  process.stderr.write(`${WAVES * PER_WAVE} resources took ${((Date.now() - started) / 1000).toFixed(0)} s\n`);
  return [...said].join("\n");
}

/** A way to the host on which everything takes its time, and every third connection is lost at its beginning. */
async function slowWay(delayMs: number) {
  const sockets = new Set<Socket>();
  let lost = 0;
  let number = 0;
  const later = (from: Socket, to: Socket) => {
    from.on("data", (chunk: Buffer) => setTimeout(() => to.writable && to.write(chunk), delayMs));
    from.on("close", () => setTimeout(() => to.end(), delayMs));
    from.on("error", () => to.destroy());
  };
  const server = createServer((near) => {
    sockets.add(near);
    if (++number % 3 === 0) {
      lost += 1;
      near.resetAndDestroy();
      return;
    }
    const far = connect(22, host.address);
    sockets.add(far);
    later(near, far);
    later(far, near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    by: { host: "127.0.0.1", port: typeof address === "object" && address ? address.port : 0 },
    lost: () => lost,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

describe("a run on a host that limits new connections gets slower, says why, and neither fails nor is undone", () => {
  test("a limit of new connections in its firewall", async () => {
    await start();
    // Two at once, then one in six seconds; as with ufw, every packet that is refused counts.
    await host.run(`nft -f - <<'end'
table inet limited {
	set seen { type ipv4_addr; flags dynamic, timeout; timeout 1m; }
	chain input {
		type filter hook input priority 0; policy accept;
		tcp dport 22 ct state new add @seen { ip saddr limit rate over 10/minute burst 2 packets } counter drop
	}
}
end`);
    const said = await run();
    // The control: it did refuse.
    expect((await host.run("nft list table inet limited")).stdout).toMatch(/counter packets [1-9]/);
    expect(said).toMatch(/no new connection yet|no answer to a new connection yet|slow to take the last connection/);
  }, 600_000);

  test("an sshd that drops most of what is not logged in yet, while somebody never logs in", async () => {
    await start({ sshdOptions: ["MaxStartups=1:80:20", "LoginGraceTime=120"] });
    await host.run(
      `setsid -f perl -MIO::Socket::INET -e 'my @held = map { IO::Socket::INET->new("127.0.0.1:22") } 1 .. 2; sleep 300' </dev/null >/dev/null 2>&1; sleep 0.5`,
    );
    expect(await run()).toMatch(/no new connection yet/);
  }, 600_000);

  test("an sshd of Debian 13 that has just punished our address for failed logins", async () => {
    await start({ suite: "trixie", sshdOptions: ["PerSourcePenalties=authfail:15s min:10s"] });
    const target = (own: object) => ({ connection: { host: host.address, user: "deploy", hostKey: host.hostKey, ...own } });
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const wrong = privateKey.export({ type: "pkcs1", format: "pem" });
    await expect(openSsh(target({ privateKey: wrong }), AbortSignal.timeout(20_000))).rejects.toMatchObject({
      failure: { code: "authentication" },
    });
    // The control: who comes now is not let in, whatever his key.
    await waitFor("the penalty", 20, async () => {
      const dialed = openSsh({ ...target({ dialErrorLimit: 1 }), privateKeyPath: clientKeyPath }, AbortSignal.timeout(20_000));
      return dialed.then(
        (connection) => (connection.close(), false),
        (error: unknown) => error instanceof HostError && error.failure.isLimited === true,
      );
    });
    expect(await run()).toMatch(/no new connection yet/);
  }, 600_000);

  test("a slow way on which connections are lost", async () => {
    await start();
    const way = await slowWay(100);
    try {
      expect(await run(way.by)).toMatch(/no new connection yet/);
      expect(way.lost()).toBeGreaterThan(0);
    } finally {
      closePool();
      way.close();
    }
  }, 600_000);
});
