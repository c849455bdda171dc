import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

const fence = (host: LabHost, more = "") =>
  `new drawbridge.LeakFence("inside", { ${hostText(host)}, uplink: "eth0", networks: ["rfc1918", "ula"] ${more} });`;

const pings = async (host: LabHost, address: string) =>
  (await host.run(`ping -c 1 -W 1 ${address}`, { allowFailure: true })).code === 0;

describe("a LeakFence by the real CLI", () => {
  let host: LabHost;
  let stack: Stack;
  let before: string;

  beforeAll(async () => {
    host = await startHost();
    await host.outside("ip addr replace 10.9.9.9/32 dev labsw; ip addr replace 203.0.113.9/32 dev labsw");
    await host.run(
      "nft 'add table ip foreign { chain input { type filter hook input priority 0; ip saddr 10.9.9.8 counter drop; }; }'",
    );
    before = await host.fingerprint();
    stack = await Stack.create(fence(host));
  });
  afterAll(async () => {
    stack.dispose();
    await host.down();
  });

  test("from preview to destroy", async () => {
    const preview = await stack.preview();
    expect(preview).toMatch(
      /deny rfc1918 *: "10\.0\.0\.0\/8, 172\.16\.0\.0\/12, 192\.168\.0\.0\/16; inet, netdev: in ….to.ipv4; in ….from.ipv4"/,
    );
    expect(preview).toMatch(/common *: "inet: \d+ lines, netdev: \d+ lines/);
    expect(await host.fingerprint()).toBe(before);
    expect(await pings(host, "10.9.9.9")).toBe(true);

    const up = await stack.up();
    expect(up).toContain("+ 2 created");
    expect(await pings(host, "10.9.9.9")).toBe(false);
    expect(await pings(host, "203.0.113.9")).toBe(true);

    const standing = await host.fingerprint();
    expect(await stack.up()).toContain("2 unchanged");
    expect(await stack.refresh()).toContain("2 unchanged");
    await stack.expect("preview", "--refresh", "--expect-no-changes");
    expect(await host.fingerprint()).toBe(standing);

    stack.program(fence(host, `, exceptions: [{ cidr: "10.9.9.9", direction: "to", description: "the time server" }]`));
    const edit = await stack.preview();
    expect(edit).toMatch(/\+ except to 10\.9\.9\.9 *: "inet, netdev: in ….except-to.ipv4 \| the time server"/);
    expect(edit).not.toMatch(/[-+~] deny/);
    expect(await stack.up()).toContain("~ 1 updated");
    expect(await pings(host, "10.9.9.9")).toBe(true);

    stack.program(fence(host));
    await stack.up();
    expect(await pings(host, "10.9.9.9")).toBe(false);
    expect(await stack.destroy()).toContain("- 2 deleted");
    expect(await host.fingerprint()).toBe(before);
    expect(await pings(host, "10.9.9.9")).toBe(true);
  });

  test("a network taken out by hand: refresh names it, a second one too, CI sees it without writing, up repairs", async () => {
    await stack.up();
    const standing = await host.fingerprint();
    await host.run(
      `f=$(nft list table inet drawbridge | sed -n 's/.*chain \\(leak-fence-inside-[0-9a-f]*\\) {/\\1/p'); nft delete element inet drawbridge $f.to.ipv4 '{ 10.0.0.0/8 }'`,
    );
    expect(await pings(host, "10.9.9.9")).toBe(false);
    const drift = await stack.run(["preview", "--refresh", "--diff", "--expect-no-changes"]);
    expect(drift.code).not.toBe(0);
    expect(drift.text).toContain("inet 20 deny to 10.0.0.0/8");

    const refresh = await stack.refresh();
    expect(refresh).toMatch(/\+ inet 20 deny to 10\.0\.0\.0\/8 *: "missing"/);
    expect(refresh).not.toMatch(/[-+~] inet 20 deny to 172/);
    expect(refresh).toContain("the files are as last applied: a reboot would repair the kernel");
    const again = await stack.refresh();
    expect(again).toContain("- inet 20 deny to 10.0.0.0/8: ");
    expect(again).toContain("~ 1 updated");
    // All outputs are printed then, those of our own book-keeping not among them.
    expect(again).toMatch(/machineId *: "/);
    expect(again).not.toMatch(/^ *(__\w+|drift) *:/m);
    expect(await stack.preview()).toMatch(/- inet 20 deny to 10\.0\.0\.0\/8 *: "missing"/);
    expect(await stack.up()).toContain("~ 1 updated");
    expect(await host.fingerprint()).toBe(standing);
    expect(await stack.refresh()).toContain("2 unchanged");
  });

  test("everything gone by hand: refresh says so, up makes it anew", async () => {
    await stack.up();
    await host.run(
      "nft delete table inet drawbridge; nft delete table netdev drawbridge; rm -r /etc/drawbridge /var/lib/drawbridge /usr/local/sbin/drawbridge-host",
    );
    expect(await stack.refresh()).toContain("- 1 deleted");
    expect(await pings(host, "10.9.9.9")).toBe(true);
    expect(await stack.up()).toContain("+ 1 created");
    expect(await pings(host, "10.9.9.9")).toBe(false);
    await stack.destroy();
  });

  test("every failure of check is shown at once, with its property", async () => {
    stack.program(
      `new drawbridge.LeakFence("inside", { ${hostText(host)}, uplink: "eth0; reboot", networks: ["10.0.0.1/8", "rfc1819"], exceptions: [{ cidr: "10.0.0.0/33", direction: "to" }], moed: "drop" });`,
    );
    const { code, text } = await stack.run(["preview"]);
    expect(code).not.toBe(0);
    for (const part of [
      "uplink",
      "networks[0]",
      'did you mean "10.0.0.0/8"?',
      "networks[1]",
      "special-purpose",
      "exceptions[0].cidr",
      "moed",
      "there is no such property",
    ])
      expect(text).toContain(part);
    stack.program(fence(host));
  });
});
