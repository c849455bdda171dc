import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

/** A resource of another provider, made by the SDK itself, whose output is not known before it exists. */
const LATER = `
class Later extends pulumi.dynamic.Resource {
  constructor(name, props, opts) {
    super({ async create(inputs) { return { id: "1", outs: inputs }; }, async diff(id, olds, news) { return { changes: olds.value !== news.value, replaces: olds.value !== news.value ? ["value"] : [], deleteBeforeReplace: true }; } }, name, { ...props, out: undefined }, opts);
  }
}`;

describe("resources together", () => {
  let host: LabHost;
  let before: string;
  const stacks: Stack[] = [];
  const stackOf = async (...args: Parameters<typeof Stack.create>) => {
    const stack = await Stack.create(...args);
    stacks.push(stack);
    return stack;
  };

  beforeAll(async () => {
    host = await startHost();
    before = await host.fingerprint();
  });
  afterAll(async () => {
    for (const stack of stacks) stack.dispose();
    await host.down();
  });

  test("values that come from another resource are unknown in preview, and right in up and after a replacement", async () => {
    const program = (network: string) => `${LATER}
      const later = new Later("later", { value: ${JSON.stringify(network)} });
      const network = later.value ?? pulumi.output(later.id).apply(() => ${JSON.stringify(network)});
      new drawbridge.LeakFence("late", { ${hostText(host)}, uplink: "eth0", networks: [pulumi.output(later.id).apply(() => ${JSON.stringify(network)})] });`;
    const stack = await stackOf(program("10.1.0.0/16"));
    expect(await stack.preview()).toMatch(/rules *: (output<string>|\[unknown\]|\(unknown\))/);
    await stack.up();
    expect((await host.run("nft list table inet drawbridge")).stdout).toContain("ip daddr 10.1.0.0/16");
    stack.program(program("10.2.0.0/16"));
    const preview = await stack.preview();
    expect(preview).toMatch(/LeakFence: \(update\)/);
    await stack.up();
    expect((await host.run("nft list table inet drawbridge")).stdout).toContain("ip daddr 10.2.0.0/16");
    await stack.destroy();
    expect(await host.fingerprint()).toBe(before);
  });

  test("a hundred resources on one host in one up", async () => {
    const stack = await stackOf(
      `for (let i = 0; i < 100; i++) new drawbridge.LeakFence("fence" + i, { ${hostText(host)}, uplink: "eth0", networks: ["10." + i + ".0.0/16"] });`,
    );
    expect(await stack.up()).toContain("+ 101 created");
    const { stdout } = await host.run("nft list table inet drawbridge");
    for (const number of [0, 37, 99]) expect(stdout).toContain(`ip daddr 10.${number}.0.0/16`);
    expect(await stack.refresh()).toContain("101 unchanged");
    expect(await stack.up()).toContain("101 unchanged");
    expect(await stack.destroy()).toContain("- 101 deleted");
    expect(await host.fingerprint()).toBe(before);
  });

  test("a rename without alias, and one with alias, never leave the host without the fence", async () => {
    const program = (name: string, opts = "{}") =>
      `new drawbridge.LeakFence("${name}", { ${hostText(host)}, uplink: "eth0", networks: ["rfc1918"] }, ${opts});`;
    const stack = await stackOf(program("old"));
    await stack.up();
    await host.outside("ip addr replace 10.9.9.9/32 dev labsw");
    // Ten packets a second; each that is answered is a leak.
    await host.run("ping -i 0.05 -W 1 10.9.9.9 >/tmp/leaks 2>&1 & echo $! >/tmp/pid");
    stack.program(program("new"));
    expect(await stack.up()).toMatch(/\+ 1 created[^]*- 1 deleted/);
    stack.program(program("newest", `{ aliases: [{ name: "new" }] }`));
    expect(await stack.up()).toContain("~ 1 updated");
    await host.run("kill -INT $(cat /tmp/pid); sleep 0.5");
    expect((await host.run("cat /tmp/leaks; rm /tmp/leaks /tmp/pid")).stdout).not.toContain("bytes from");
    const [resource] = await stack.resources();
    expect((await host.run("ls /etc/drawbridge/nft/inet-drawbridge")).stdout.trim()).toMatch(
      /^50-leak-fence-newest-[0-9a-f]{8}\.nft$/,
    );
    expect(resource?.urn).toMatch(/::newest$/);
    expect(await stack.refresh()).toContain("2 unchanged");
    await stack.destroy();
    expect(await host.fingerprint()).toBe(before);
  });

  test("two stacks share a host and its tables without touching each other's rules", async () => {
    const program = (network: string) =>
      `new drawbridge.LeakFence("inside", { ${hostText(host)}, uplink: "eth0", networks: ["${network}"] });`;
    const one = await stackOf(program("10.0.0.0/8"), { name: "one" });
    const two = await stackOf(program("172.16.0.0/12"), { name: "two" });
    await Promise.all([one.up(), two.up()]);
    const { stdout } = await host.run("nft list table inet drawbridge");
    expect(stdout).toContain("ip daddr 10.0.0.0/8");
    expect(stdout).toContain("ip daddr 172.16.0.0/12");
    expect(await one.refresh()).toContain("2 unchanged");
    await one.destroy();
    expect((await host.run("nft list table inet drawbridge")).stdout).toContain("ip daddr 172.16.0.0/12");
    expect(await two.refresh()).toContain("2 unchanged");
    await two.destroy();
    expect(await host.fingerprint()).toBe(before);
  });

  test("the same object declared twice is refused, also where only the host can tell", async () => {
    const child = (parent: string) =>
      `new drawbridge.LeakFence("same", { ${hostText(host)}, uplink: "eth0", networks: ["rfc1918"] }, { parent: ${parent} });`;
    const stack = await stackOf(
      `const a = new pulumi.ComponentResource("x:A", "a"); const b = new pulumi.ComponentResource("x:B", "b"); ${child("a")} ${child("b")}`,
    );
    const { code, text } = await stack.run(["up", "--yes", "--skip-preview"]);
    expect(code).not.toBe(0);
    expect(text).toContain("declares the same object on the same host; give one of them another name");
    await stack.destroy();
    expect(await host.fingerprint()).toBe(before);
  });
});
