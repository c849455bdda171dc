import { closePool, pooledHost } from "../../dist/host/pool";
import { clientKeyPath, type HostOptions, type LabHost, startHost } from "../../tools/lab";
import { change } from "./change";

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
async function run(): Promise<string> {
  const said = new Set<string>();
  const started = Date.now();
  const pooled = pooledHost({
    connection: { host: host.address, user: "deploy", hostKey: host.hostKey },
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
    expect(said).toMatch(/no new connection yet|limits new connections/);
  }, 600_000);

  test("an sshd that drops most of what is not logged in yet, while somebody never logs in", async () => {
    await start({ sshdOptions: ["MaxStartups=1:80:20", "LoginGraceTime=120"] });
    await host.run(
      `setsid -f perl -MIO::Socket::INET -e 'my @held = map { IO::Socket::INET->new("127.0.0.1:22") } 1 .. 2; sleep 300' </dev/null >/dev/null 2>&1; sleep 0.5`,
    );
    expect(await run()).toMatch(/no new connection yet/);
  }, 600_000);

  test("an sshd of Debian 13, with its penalties", async () => {
    await start({ suite: "trixie" });
    await run();
  }, 600_000);
});
