import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

/** Our provider's processes in a stack's run: they carry its home in their environment. */
function providersOf(stack: Stack): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [environment, command] = ["environ", "cmdline"].map((file) => readFileSync(`/proc/${pid}/${file}`, "latin1"));
        return environment?.includes(`PULUMI_HOME=${stack.folder}/home`) && command?.includes("dynamic-provider");
      } catch {
        return false; // It ended while we looked.
      }
    })
    .map(Number);
}

/** The engine may have ended by itself between two signals. */
function interrupt(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function gone(stack: Stack): Promise<boolean> {
  for (let tries = 0; providersOf(stack).length > 0 && tries < 100; tries++) await sleep(100);
  return providersOf(stack).length === 0;
}

describe("a run that is watched, cancelled or killed", () => {
  let host: LabHost;
  let before: string;
  let stack: Stack;
  const program = () =>
    `new drawbridge.LeakFence("inside", { ${hostText(host)}, uplink: "eth0", networks: ["rfc1918"], confirmDeadlineSeconds: 15 });`;
  /** Somebody else's transaction, that ours must wait for; `end` takes it away. */
  const hold = async () => {
    const folder = `/var/lib/drawbridge/txn/${randomBytes(16).toString("hex")}`;
    await host.run(`mkdir -p ${folder}; echo 'LeakFence of a colleague' >${folder}/holder; : >${folder}/pending`);
    return () => host.run(`rm -rf ${folder}; rmdir /var/lib/drawbridge/txn /var/lib/drawbridge 2>/dev/null || true`);
  };

  beforeEach(async () => {
    host = await startHost();
    before = await host.fingerprint();
    const node = process.env["DRAWBRIDGE_NODE22"];
    if (node === undefined) throw new Error("DRAWBRIDGE_NODE22 is not set; run the tests by npm test");
    stack = await Stack.create(program(), { node });
  });
  afterEach(async () => {
    stack.dispose();
    await host.down();
  });

  test("what a transaction is doing stands on the resource's own line", async () => {
    const end = await hold();
    const { code, text } = await stack.run(["up", "--yes", "--skip-preview"], {
      onText: (soFar) => {
        if (soFar.includes("waiting for LeakFence of a colleague")) void end();
      },
    });
    expect(code).toBe(0);
    expect(text).toMatch(/LeakFence inside creating \(\d+s\) waiting for LeakFence of a colleague/);
    await stack.destroy();
  });

  test("the first Ctrl-C ends a wait at once, and leaves state and host as they were", async () => {
    const end = await hold();
    let interrupted = 0;
    const { code, text } = await stack.run(["up", "--yes", "--skip-preview"], {
      onText: (soFar, pid) => {
        if (interrupted > 0 || !soFar.includes("waiting for")) return;
        interrupted = Date.now();
        process.kill(pid, "SIGINT");
      },
    });
    expect(interrupted).toBeGreaterThan(0);
    expect(Date.now() - interrupted).toBeLessThan(10_000);
    expect(code).not.toBe(0);
    expect(text).toContain("the run was cancelled");
    expect(await stack.resources()).toEqual([]);
    await end();
    expect(await gone(stack)).toBe(true);
    await stack.up();
    await stack.destroy();
    for (let tries = 0; (await host.fingerprint()) !== before && tries < 40; tries++) await sleep(500);
    expect(await host.fingerprint()).toBe(before);
  });

  test.each([
    { story: "a second Ctrl-C", signals: ["SIGINT", "SIGINT"] as const },
    { story: "an engine that is killed", signals: ["SIGKILL"] as const },
  ])("$story leaves no process of ours behind", async ({ signals }) => {
    const end = await hold();
    let seen: readonly number[] = [];
    await stack.run(["up", "--yes", "--skip-preview"], {
      onText: (soFar, pid) => {
        if (seen.length > 0 || !soFar.includes("waiting for")) return;
        // The positive control: there is something to leave behind.
        seen = providersOf(stack);
        signals.forEach((signal, index) => setTimeout(() => interrupt(pid, signal), 30 * index));
      },
    });
    expect(seen).not.toEqual([]);
    expect(await gone(stack)).toBe(true);
    await end();
  });
});
