import { closePool } from "../../dist/host/pool";
import { RemoteHost } from "../../dist/host/remote-host";
import { type HostOptions, type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven } from "../lab/drive";

const WAVES = Number(process.env["DRAWBRIDGE_DRILLS"] === "all" ? 13 : 4);
const PER_WAVE = 8;

let host: LabHost;
afterEach(async () => {
  jest.restoreAllMocks();
  closePool();
  await host.down();
});

/** A run in waves, as the engine makes it; answers what it said meanwhile and how many connections the host refused. */
async function run(seconds = 90): Promise<{ said: ReadonlySet<string>; seconds: number }> {
  const said = new Set<string>();
  const { reconnect, spaceOut } = RemoteHost.prototype;
  jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementation(function (this: RemoteHost, deadline, onStatus) {
    return reconnect.call(this, deadline, (text) => {
      said.add(text);
      onStatus?.(text);
    });
  });
  jest.spyOn(RemoteHost.prototype, "spaceOut").mockImplementation(function (this: RemoteHost, onStatus) {
    return spaceOut.call(this, (text) => {
      said.add(text);
      onStatus(text);
    });
  });
  const started = Date.now();
  const all: Driven[] = [];
  for (let wave = 0; wave < WAVES; wave++) {
    const names = Array.from({ length: PER_WAVE }, (_, index) => `rule-${wave}-${index}`);
    const args = { ...accessOf(host), users: ["myself"], commands: [{ path: "/usr/bin/id" }], confirmDeadlineSeconds: seconds };
    all.push(...(await Promise.all(names.map((name) => Driven.create("SudoRule", name, args)))));
  }
  expect((await host.run("ls /etc/sudoers.d/drawbridge-* | wc -l")).stdout.trim()).toBe(String(WAVES * PER_WAVE));
  await Promise.all(all.map((each) => each.delete()));
  return { said, seconds: (Date.now() - started) / 1000 };
}

const start = async (options: HostOptions = {}) => void (host = await startHost(options));

describe("a run on a host that limits new connections gets slower, says why, and neither fails nor is undone", () => {
  test("a limit of new connections, as ufw's", async () => {
    await start();
    await host.run(`nft -f - <<'end'
table inet limited {
	set seen { type ipv4_addr; flags dynamic, timeout; timeout 1m; }
	chain input {
		type filter hook input priority 0; policy accept;
		tcp dport 22 ct state new add @seen { ip saddr limit rate over 10/minute burst 2 packets } counter drop
	}
}
end`);
    const { said, seconds } = await run();
    expect((await host.run("nft list table inet limited")).stdout).toMatch(/counter packets [1-9]/);
    expect([...said].join("\n")).toMatch(/limit/);
    process.stderr.write(`${WAVES * PER_WAVE} resources under a limit of 10 new connections a minute: ${seconds.toFixed(0)} s\n`);
  }, 600_000);

  test("MaxStartups drops every second connection that is not through yet", async () => {
    await start({ sshdOptions: ["MaxStartups=1:90:1", "LoginGraceTime=5"] });
    // Somebody who never logs in.
    const holding = host.run("for i in $(seq 20); do timeout 4 sh -c 'exec 3<>/dev/tcp/127.0.0.1/22; cat <&3' 2>/dev/null || perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(\"127.0.0.1:22\"); sleep 4' ; done", { allowFailure: true, timeoutSeconds: 120 });
    await run();
    await holding;
  }, 600_000);

  test("a host of Debian 13 that punishes others' failed logins from the same address", async () => {
    await start({ suite: "trixie" });
    await run();
  }, 600_000);

  test("a slow and lossy way", async () => {
    await start();
    const began = await run();
    expect(began.seconds).toBeLessThan(300);
  }, 600_000);
});
