import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven } from "./drive";

const FENCE = { uplink: "eth0", networks: ["rfc1918"], confirmDeadlineSeconds: 20 };
const RULE = { users: ["myself"], commands: [{ path: "/usr/bin/id" }], confirmDeadlineSeconds: 20 };

interface Failure {
  readonly code: string;
  readonly host: string;
  readonly step: string;
  readonly reason: string;
  readonly wayOut?: string;
}

const failureOf = async (work: Promise<unknown>): Promise<Failure> =>
  work.then(
    () => {
      throw new Error("it succeeded");
    },
    (error: unknown) => {
      const { failure } = error as { failure?: Failure };
      if (!failure) throw error;
      return failure;
    },
  );

describe.each(["bookworm", "trixie"] as const)("what a %s host lacks is named, and nothing is changed", (suite) => {
  let host: LabHost;
  beforeEach(async () => {
    host = await startHost({ suite });
  });
  afterEach(() => host.down());

  test.each([
    {
      story: "nft",
      breaks: "mv /usr/sbin/nft /usr/sbin/nft.away",
      kind: "LeakFence",
      args: FENCE,
      user: "deploy",
      failure: { code: "missing-tool", reason: /nft is not installed.*package nftables/ },
    },
    {
      story: "visudo",
      breaks: "mv /usr/sbin/visudo /usr/sbin/visudo.away",
      kind: "SudoRule",
      args: RULE,
      user: "root",
      failure: { code: "rejected", reason: /visudo is not installed.*package sudo/ },
    },
    {
      story: "sudo",
      breaks: "mv /usr/bin/sudo /usr/bin/sudo.away",
      kind: "LeakFence",
      args: FENCE,
      user: "deploy",
      failure: { code: "sudo", reason: /no sudo on this host/, wayOut: /package sudo/ },
    },
    {
      story: "a sudo without password",
      breaks: "true",
      kind: "LeakFence",
      args: FENCE,
      user: "asks",
      failure: { code: "sudo", reason: /refused for asks/, wayOut: /asks ALL=\(root\) NOPASSWD: ALL/ },
    },
    {
      story: "any sudo right",
      breaks: "true",
      kind: "LeakFence",
      args: FENCE,
      user: "plain",
      failure: { code: "sudo", reason: /refused for plain/, wayOut: /plain ALL=\(root\) NOPASSWD/ },
    },
    {
      story: "a kernel that knows the table's family",
      // What such a kernel makes nft say.
      breaks: `mv /usr/sbin/nft /usr/sbin/nft.real; printf '#!/bin/sh\\nif [ "$1" = -f ] && grep -q "hook egress" "$2" 2>/dev/null; then echo "$2:5:8-18: Error: Could not process rule: Operation not supported" >&2; echo "	chain egress.eth0 {" >&2; exit 1; fi\\nexec nft.real "$@"\\n' >/usr/sbin/nft; chmod 755 /usr/sbin/nft`,
      kind: "LeakFence",
      args: FENCE,
      user: "deploy",
      failure: { code: "rejected", reason: /Operation not supported/, wayOut: /egress: false/ },
    },
    {
      story: "a writable /etc",
      breaks: "mount --bind /etc /etc && mount -o remount,bind,ro /etc",
      kind: "LeakFence",
      args: FENCE,
      user: "deploy",
      failure: { code: "not-writable", reason: /cannot write|[Rr]ead-only/ },
    },
    {
      story: "room on its disk",
      breaks:
        "mkdir -p /var/lib/drawbridge && mount -t tmpfs -o size=8k tmpfs /var/lib/drawbridge && { dd if=/dev/zero of=/var/lib/drawbridge/full bs=4k 2>/dev/null || true; }",
      kind: "LeakFence",
      args: FENCE,
      user: "deploy",
      failure: { code: "not-writable", reason: /No space left|cannot (write|store)/ },
    },
  ])("$story", async ({ breaks, kind, args, user, failure }) => {
    await host.run(breaks);
    const tables = async () =>
      (
        await host.run(
          "PATH=$PATH:/usr/sbin; (nft.away list ruleset || nft list ruleset) 2>/dev/null; ls /etc/drawbridge /etc/sudoers.d 2>/dev/null",
          { allowFailure: true },
        )
      ).stdout;
    const before = await tables();
    const found = await failureOf(Driven.create(kind, `lacks-${suite}`, { ...accessOf(host, user), ...args }));
    expect(found.code).toBe(failure.code);
    expect(found.reason).toMatch(failure.reason);
    if (failure.wayOut) expect(found.wayOut).toMatch(failure.wayOut);
    expect(found.host).toContain(host.address);
    expect(found.step).not.toBe("");
    expect(await tables()).toBe(before);
  });

  test("a plain login without `become` is told of it", async () => {
    const found = await failureOf(
      Driven.create("LeakFence", `plain-${suite}`, { ...accessOf(host, "plain"), become: false, ...FENCE }),
    );
    expect(found).toMatchObject({ code: "not-root", wayOut: expect.stringContaining("become: true") as unknown });
  });

  test("a missing tool fails only the kinds that need it", async () => {
    const rule = await Driven.create("SudoRule", `alone-${suite}`, { ...accessOf(host), ...RULE });
    const fence = await Driven.create("LeakFence", `alone-${suite}`, { ...accessOf(host), ...FENCE });
    await host.run("mv /usr/sbin/nft /usr/sbin/nft.away; sleep 1.1");
    expect((await failureOf(fence.refresh())).reason).toMatch(/package nftables/);
    expect(await rule.refresh()).toEqual({});
    await host.run("mv /usr/sbin/nft.away /usr/sbin/nft");
    await fence.delete();
    await rule.delete();
  });
});
