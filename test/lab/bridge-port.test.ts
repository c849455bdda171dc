import { setTimeout as sleep } from "node:timers/promises";
import type { LabGuest, LabHost } from "../../tools/lab";
import { accessOf, check, Driven, type Props } from "./drive";
import { answers, startOwnHost, untilAnswered } from "./guests";

const on = (host: LabHost, own: Props): Props => ({ ...accessOf(host), confirmDeadlineSeconds: 20, bridge: "br0", ...own });
const masterOf = async (host: LabHost, name: string) =>
  (await host.run(`ip -j link show dev ${name} | sed -n 's/.*"master":"\\([^"]*\\)".*/\\1/p'`)).stdout.trim();

/** A guest whose interface is no port yet. */
const guestOn = (host: LabHost, name: string, address: string) =>
  host.guest({ name, addresses: [`${address}/24`], attach: { bridge: "br0" } }).then(async (guest) => {
    await host.run(`ip link set ${guest.interface} nomaster`);
    return guest;
  });

async function hostWithGuests() {
  const host = await startOwnHost();
  await host.run("ip link add br0 type bridge && ip link set br0 up");
  const guest = (name: string, number: number) => guestOn(host, name, `192.0.2.${number}`);
  return { host, guests: [await guest("a", 1), await guest("b", 2), await guest("c", 3)] as const };
}

describe("a port, by packets", () => {
  test("isolated ports reach the others and not each other", async () => {
    const { host, guests } = await hostWithGuests();
    const [a, b, c] = guests;
    expect(await answers(a, "192.0.2.3")).toBe(false);
    const port = (guest: LabGuest, isolated: boolean) =>
      Driven.create("BridgePort", guest.name, on(host, { interface: guest.interface, isolated }));
    const ports = await Promise.all([port(a, true), port(b, true), port(c, false)]);
    await untilAnswered(a, "192.0.2.3");
    await untilAnswered(b, "192.0.2.3");
    expect(await answers(a, "192.0.2.2")).toBe(false);
    await ports[1].up(on(host, { interface: b.interface, isolated: false }));
    await untilAnswered(a, "192.0.2.2");
    await Promise.all(ports.map((each) => each.delete()));
    expect(await answers(a, "192.0.2.3")).toBe(false);
  });

  test("with flood off no frame for an unknown address comes out, with learning off every one is unknown", async () => {
    const { host, guests } = await hostWithGuests();
    const [a, b, c] = guests;
    const port = (guest: LabGuest, own: Props) =>
      Driven.create("BridgePort", guest.name, on(host, { interface: guest.interface, ...own }));
    const [, quiet] = await Promise.all([port(a, {}), port(b, { flood: false }), port(c, {})]);
    const frames = async (guest: LabGuest, destination: string) => {
      const count = async () => Number((await guest.run("cat /sys/class/net/eth0/statistics/rx_packets")).stdout);
      const first = await count();
      for (let i = 0; i < 10; i++) {
        const frame = `${destination}${a.mac}88b5`.replaceAll(":", "") + "00".repeat(46);
        await a.sendFrame(Buffer.from(frame, "hex"));
      }
      await sleep(100);
      return (await count()) - first >= 10;
    };
    const stranger = "02:00:5e:00:53:77";
    expect(await frames(c, stranger)).toBe(true);
    expect(await frames(b, stranger)).toBe(false);
    await quiet.up(on(host, { interface: b.interface, flood: true, learning: false }));
    expect(await frames(b, stranger)).toBe(true);
    await host.run(`bridge fdb delete ${b.mac} dev ${b.interface} master || :`);
    // c has spoken and is known, so that b gets no copy of what is for c; b has spoken and is not known, so that c does.
    await answers(c, "192.0.2.1");
    await answers(b, "192.0.2.1");
    expect(await frames(b, c.mac)).toBe(false);
    expect(await frames(c, b.mac)).toBe(true);
  });
});

describe("a port that is not there yet", () => {
  const tap = { interface: "tap0", isolated: true };
  const appear = "ip tuntap add tap0 mode tap";
  // What udev runs for every interface that appears; the lab has no udev.
  const udev = 'eval "$(sed -n \'s/.*RUN+="\\([^"]*\\)"/\\1/p\' /etc/udev/rules.d/90-drawbridge.rules)"';

  test("is no drift, and becomes one at each appearance without Pulumi", async () => {
    const host = await startOwnHost();
    await host.run("ip link add br0 address 02:00:5e:00:53:01 type bridge");
    const before = await host.fingerprint();
    const port = await Driven.create("BridgePort", "late", on(host, tap));
    expect(await port.refresh()).toEqual({});
    for (let time = 0; time < 2; time++) {
      await host.run(`${appear} && ${udev}`);
      expect(await masterOf(host, "tap0")).toBe("br0");
      expect((await host.run("cat /sys/class/net/tap0/brport/isolated")).stdout).toBe("1\n");
      await sleep(1100);
      expect(await port.refresh()).toEqual({});
      await host.run("ip link delete tap0");
    }
    await sleep(1100);
    expect(await port.refresh()).toEqual({});
    await port.delete();
    expect(await host.fingerprint()).toBe(before);
  });

  test("a bridge that was made anew under its name gets its ports back", async () => {
    const host = await startOwnHost();
    await host.run(`ip link add br0 type bridge && ${appear}`);
    const port = await Driven.create("BridgePort", "back", on(host, tap));
    expect(await masterOf(host, "tap0")).toBe("br0");
    await host.run("ip link delete br0");
    expect(await masterOf(host, "tap0")).toBe("");
    await sleep(1100);
    expect(await port.refresh()).toEqual({});
    await host.run(`ip link add br0 type bridge && ${udev}`);
    expect(await masterOf(host, "tap0")).toBe("br0");
    expect((await host.run("cat /sys/class/net/tap0/brport/isolated")).stdout).toBe("1\n");
    await port.delete();
    expect(await masterOf(host, "tap0")).toBe("");
  });

  test("with waitSeconds the create waits for it, and fails by name when it does not come", async () => {
    const host = await startOwnHost();
    await host.run("ip link add br0 address 02:00:5e:00:53:01 type bridge");
    const before = await host.fingerprint();
    await expect(Driven.create("BridgePort", "never", on(host, { ...tap, waitSeconds: 1 }))).rejects.toThrow(
      /waitSeconds: tap0 did not appear within 1 s/,
    );
    expect(await host.fingerprint()).toBe(before);
    const creating = Driven.create("BridgePort", "soon", on(host, { ...tap, waitSeconds: 30 }));
    await sleep(1500);
    expect((await host.run("ls /etc/drawbridge/links 2>/dev/null || :")).stdout).toBe("");
    await host.run(appear);
    const port = await creating;
    expect(await masterOf(host, "tap0")).toBe("br0");
    await port.delete();
    await host.run("ip link delete tap0");
    expect(await host.fingerprint()).toBe(before);
  });
});

describe("what a port may not be", () => {
  test.each([
    [{ priority: 64 }, "priority", /at most 63/],
    [{ cost: 0 }, "cost", /at least 1/],
    [{ pvid: 4095 }, "pvid", /at most 4094/],
    [{ vids: [0] }, "vids[0]", /priority tag/],
    [{ pvid: 5, vids: [5] }, "vids[0]", /twice/],
    [{ interface: "br0" }, "interface", /the bridge itself/],
    [{ waitSeconds: -1 }, "waitSeconds", /at least 0/],
  ])("%j", async (own, property, reason) => {
    const args = { connection: { host: "192.0.2.1" }, bridge: "br0", interface: "tap0" };
    expect((await check("BridgePort", "right", args)).failures).toEqual([]);
    expect((await check("BridgePort", "wrong", { ...args, ...own })).failures).toEqual([
      { property, reason: expect.stringMatching(reason) as unknown },
    ]);
  });

  test("on its host: an interface with addresses, a bridge, a bridge that is none, VLANs on a kernel without them", async () => {
    const host = await startOwnHost();
    await host.run("ip link add br0 type bridge && ip link add br1 type bridge && ip tuntap add tap0 mode tap");
    const before = await host.fingerprint();
    const refused = (own: Props) => expect(Driven.create("BridgePort", JSON.stringify(own), on(host, own))).rejects;
    await refused({ interface: "eth0" }).toThrow(new RegExp(`interface: eth0 has the address ${host.address}`));
    await refused({ interface: "br1" }).toThrow(/interface: br1 is a bridge itself/);
    await refused({ interface: "lo" }).toThrow(/interface: lo cannot be a port/);
    await refused({ bridge: "eth0", interface: "tap0" }).toThrow(/bridge: eth0 is no bridge/);
    await refused({ interface: "tap0", pvid: 10 }).toThrow(/CONFIG_BRIDGE_VLAN_FILTERING/);
    expect(await host.fingerprint()).toBe(before);
  });
});
