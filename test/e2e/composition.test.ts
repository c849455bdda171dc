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
    expect((await host.run("nft list table inet drawbridge")).stdout).toContain("10.1.0.0/16 : ");
    stack.program(program("10.2.0.0/16"));
    const preview = await stack.preview();
    expect(preview).toMatch(/LeakFence: \(update\)/);
    await stack.up();
    expect((await host.run("nft list table inet drawbridge")).stdout).toContain("10.2.0.0/16 : ");
    await stack.destroy();
    expect(await host.fingerprint()).toBe(before);
  });

  test("a hundred resources on one host in one up", async () => {
    const stack = await stackOf(
      `for (let i = 0; i < 100; i++) new drawbridge.LeakFence("fence" + i, { ${hostText(host)}, uplink: "eth0", networks: ["10." + i + ".0.0/16"] });`,
    );
    expect(await stack.up()).toContain("+ 101 created");
    const { stdout } = await host.run("nft list table inet drawbridge");
    for (const number of [0, 37, 99]) expect(stdout).toContain(`10.${number}.0.0/16 : `);
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
    const renamed = [await stack.expect("preview"), await stack.up()];
    expect(renamed[1]).toContain("~ 1 updated");
    expect(renamed.join("\n")).not.toContain("__origin");
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
    expect(stdout).toContain("10.0.0.0/8 : ");
    expect(stdout).toContain("172.16.0.0/12 : ");
    expect(await one.refresh()).toContain("2 unchanged");
    await one.destroy();
    expect((await host.run("nft list table inet drawbridge")).stdout).toContain("172.16.0.0/12 : ");
    expect(await two.refresh()).toContain("2 unchanged");
    await two.destroy();
    expect(await host.fingerprint()).toBe(before);
  });

  test("one up makes a moved bridge and all that stands on it or beside it, in no order that the program says; destroy restores everything", async () => {
    await host.run(
      `cp -p /etc/network/interfaces /run/interfaces; cat >>/etc/network/interfaces <<'end'\nallow-hotplug eth0\niface eth0 inet static\n\taddress ${host.address}/16\n\tgateway 198.18.0.1\n\niface eth0 inet6 static\n\taddress ${host.address6}/64\n\tgateway 2001:db8:77::1\nend`,
    );
    const unmoved = await host.fingerprint();
    await host.outside("ip addr replace 10.9.9.9/32 dev labsw; ip addr replace 203.0.113.9/32 dev labsw");
    const answers = async (address: string) =>
      (await host.run(`ping -n -c 1 -W 1 ${address}`, { allowFailure: true })).code === 0;
    expect([await answers("10.9.9.9"), await answers("203.0.113.9")]).toEqual([true, true]);
    const stack = await stackOf(`
      const host = { ${hostText(host)} };
      const allow = [{ to: "203.0.113.9", ports: [20002] }];
      new drawbridge.UserOutputChain("his", { ...host, user: "myself", allow });
      new drawbridge.UserOutputChain("hers", { ...host, user: "mybro", allow });
      new drawbridge.OutputGuard("spice", { ...host, ports: [20002] });
      new drawbridge.SudoRule("viewer", { ...host, users: ["myself"], commands: [{ path: "/usr/bin/id" }] });
      const bridge = new drawbridge.Bridge("lan", { ...host, name: "br0", uplink: "eth0", moveAddresses: true });
      new drawbridge.LeakFence("inside", { ...host, uplink: { interface: "eth0", bridge: bridge.name }, networks: ["rfc1918"] });`);
    expect(await stack.up()).toContain("+ 7 created");
    expect((await host.run("cat /sys/class/net/eth0/master/uevent")).stdout).toContain("INTERFACE=br0");
    expect([await answers("10.9.9.9"), await answers("203.0.113.9")]).toEqual([false, true]);
    expect(await stack.refresh()).toContain("7 unchanged");
    expect(await stack.destroy()).toContain("- 7 deleted");
    expect(await host.fingerprint()).toBe(unmoved);
    expect([await answers("10.9.9.9"), await answers("203.0.113.9")]).toEqual([true, true]);
    await host.run("cp -p /run/interfaces /etc/network/interfaces; rm /run/interfaces");
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
