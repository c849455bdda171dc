import type { Vm } from "../../tools/lab";
import { Driven } from "../lab/drive";
import { Esp, twoNetworks } from "./esp";
import { fence, on, said, startOwnVm } from "./machine";

// The lab's kernel has no ESP. A tunnel's packets are real ones here, between two ends that share their keys.
describe("beside real ESP, on a kernel of Debian 12", () => {
  let vm: Vm;
  beforeAll(async () => {
    vm = await startOwnVm();
    await vm.run(twoNetworks);
  });

  test("what goes into a tunnel of IPsec passes the fence, what would go beside it does not", async () => {
    const tunnel = new Esp(vm, "IPv4", "tunnel");
    expect(await tunnel.reaches()).toBe(true);
    const wan = await Driven.create("LeakFence", "wan", on(vm, { ...fence, uplink: "wan0" }));
    expect(await tunnel.reaches()).toBe(false);
    await tunnel.up();
    expect(await tunnel.reaches()).toBe(true);
    expect(await tunnel.sent()).toBeGreaterThan(0);
    await tunnel.down();
    expect(await tunnel.reaches()).toBe(false);
    await wan.delete();
    expect(await tunnel.reaches()).toBe(true);
  });

  test.each([
    ["IPv4", "tunnel"],
    ["IPv6", "tunnel"],
    ["IPv4", "transport"],
    ["IPv6", "transport"],
  ] as const)(
    "an IpsecPolicyDrop lets pass what travels by ESP over %s in %s mode, and nothing that travels beside it or by another",
    async (family, mode) => {
      const esp = new Esp(vm, family, mode);
      const args = (own = {}) => on(vm, { networks: [esp.network], ...own });
      const counters = () => said(vm, "nft list counters table inet drawbridge");
      expect(await esp.reaches()).toBe(true);
      const drop = await Driven.create("IpsecPolicyDrop", `${family}-${mode}`, args({ reqid: esp.reqid }));
      expect(await esp.reaches()).toBe(false);
      expect(await counters()).toMatch(/\.out\.\S+ \{\s*packets [1-9]/);
      await esp.up();
      expect(await esp.reaches()).toBe(true);
      expect(await esp.sent()).toBeGreaterThan(0);
      // Another tunnel than the one that is meant; in transport mode there are no ends but the packet's own.
      await drop.up(args({ reqid: esp.reqid + 1 }));
      expect(await esp.reaches()).toBe(false);
      await drop.up(args({ remoteEndpoint: esp.remoteEndpoint }));
      expect(await esp.reaches()).toBe(mode === "tunnel");
      await drop.up(args({ direction: "in" }));
      expect(await esp.reaches()).toBe(true);
      await esp.down();
      expect(await esp.reaches()).toBe(false);
      expect(await counters()).toMatch(/\.in\.\S+ \{\s*packets [1-9]/);
      await drop.delete();
      expect(await esp.reaches()).toBe(true);
    },
  );
});
