import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

describe("one dead host of many", () => {
  let alive: LabHost;
  let dead: LabHost;
  let stack: Stack;
  const fence = (host: LabHost, name: string, networks: string) =>
    `new drawbridge.LeakFence("${name}", { ${hostText(host).replace('"user":', '"perDialTimeout":1,"dialErrorLimit":1,"user":')}, uplink: "eth0", networks: ${networks} });`;

  beforeAll(async () => {
    alive = await startHost();
    dead = await startHost();
    stack = await Stack.create(fence(alive, "alive", '["rfc1918"]') + fence(dead, "dead", '["rfc1918"]'));
  });
  afterAll(async () => {
    stack.dispose();
    await alive.down();
  });

  test("stops a run with refresh and names the ways out; told to, the run goes on with the others", async () => {
    await stack.up();
    await dead.down();
    stack.program(fence(alive, "alive", '["ula"]') + fence(dead, "dead", '["rfc1918"]'));
    const stopped = await stack.run(["up", "--yes", "--skip-preview", "--refresh"]);
    expect(stopped.code).not.toBe(0);
    expect(stopped.text).toContain(`deploy@${dead.address}:22: connect:`);
    expect(stopped.text).toContain("DRAWBRIDGE_SKIP_UNREACHABLE=1");

    const went = await stack.run(["up", "--yes", "--skip-preview", "--refresh"], { env: { DRAWBRIDGE_SKIP_UNREACHABLE: "1" } });
    expect(went.code).toBe(0);
    expect(went.text).toContain("not read, the state is kept as it was");
    expect((await alive.run("nft list table inet drawbridge")).stdout).toContain("ip6 daddr fc00::/7");

    const kept = await stack.run(["destroy", "--yes", "--skip-preview"]);
    expect(kept.code).not.toBe(0);
    expect(kept.text).toContain("DRAWBRIDGE_DELETE_UNREACHABLE=1");
    const forgotten = await stack.run(["destroy", "--yes", "--skip-preview"], { env: { DRAWBRIDGE_DELETE_UNREACHABLE: "1" } });
    expect(forgotten.code).toBe(0);
    expect(await stack.resources()).toEqual([]);
  });
});
