import type { Vm } from "../../tools/lab";
import { Driven } from "../lab/drive";
import { Esp, twoNetworks } from "./esp";
import { fence, on, said, startOwnVm } from "./machine";

// The lab's kernel has no ESP. A tunnel's packets are real ones here, between two ends that share their keys.
describe.each([
  ["12", "bookworm"],
  ["13", "trixie"],
] as const)("beside real ESP, on a kernel of Debian %s", (_version, suite) => {
  let vm: Vm;
  beforeAll(async () => {
    vm = await startOwnVm({ suite });
    await vm.run(twoNetworks);
  });

  test("what goes into a tunnel of IPsec passes the fence, what would go beside it does not", async () => {
    const tunnel = new Esp(vm, "IPv4", "tunnel");
    expect(await tunnel.reaches()).toBe(true);
    const wan = await Driven.create("LeakFence", "wan", on(vm, { ...fence, uplink: "wan0" }));
    expect(await tunnel.reaches()).toBe(false);
    await Esp.up(vm, [tunnel]);
    expect(await tunnel.reaches()).toBe(true);
    expect(await tunnel.sent()).toBeGreaterThan(0);
    await Esp.down(vm);
    expect(await tunnel.reaches()).toBe(false);
    await wan.delete();
    expect(await tunnel.reaches()).toBe(true);
  });

  test.each(["tunnel", "transport"] as const)(
    "an IpsecPolicyDrop lets pass what travels by ESP over IPv4 or IPv6 in %s mode, and nothing that travels beside it or by another",
    async (mode) => {
      // A transaction takes such a machine many seconds: both families share each.
      const both = (["IPv4", "IPv6"] as const).map((family) => new Esp(vm, family, mode));
      const reach = () => Promise.all(both.map((esp) => esp.reaches()));
      const args = (esp: Esp, own = {}) => on(vm, { networks: [esp.network], ...own });
      const counters = () => said(vm, "nft list counters table inet drawbridge");
      expect(await reach()).toEqual([true, true]);
      const drops = await Promise.all(
        both.map((esp) => Driven.create("IpsecPolicyDrop", `${mode} ${esp.reqid}`, args(esp, { reqid: esp.reqid }))),
      );
      const upAll = (own: (esp: Esp) => object) =>
        Promise.all(both.map(async (esp, index) => drops[index]?.up(args(esp, own(esp)))));
      expect(await reach()).toEqual([false, false]);
      expect((await counters()).match(/\.out\.\S+ \{\s*packets [1-9]/g)).toHaveLength(2);
      await Esp.up(vm, both);
      expect(await reach()).toEqual([true, true]);
      for (const esp of both) expect(await esp.sent()).toBeGreaterThan(0);
      // Another tunnel than the one that is meant; in transport mode there are no ends but the packet's own.
      await upAll((esp) => ({ reqid: esp.reqid + 1 }));
      expect(await reach()).toEqual([false, false]);
      await upAll((esp) => ({ remoteEndpoint: esp.remoteEndpoint }));
      expect(await reach()).toEqual([mode === "tunnel", mode === "tunnel"]);
      await upAll(() => ({ direction: "in" }));
      expect(await reach()).toEqual([true, true]);
      await Esp.down(vm);
      expect(await reach()).toEqual([false, false]);
      expect((await counters()).match(/\.in\.\S+ \{\s*packets [1-9]/g)).toHaveLength(2);
      await Promise.all(drops.map((drop) => drop.delete()));
      expect(await reach()).toEqual([true, true]);
    },
  );
});
