import type { LabGuest, LabHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven, type Props } from "./drive";
import { answers, startOwnHost, untilAnswered } from "./guests";

// In the lab a reboot is: the kernel forgets its rules, and the units' commands run.
const REBOOT = "nft flush ruleset; drawbridge-host settle; drawbridge-host load";

/**
 * Guests `a` and `b` are neighbours on one bridge; `c` is behind another device. `b` also has addresses of a network that `a` reaches by the host only, which routes
 * back out by the bridge that the packets came by.
 */
const BRIDGED = ["192.0.2.2", "2001:db8:1::2"] as const;
const BACK_OUT = ["198.51.100.2", "2001:db8:2::2"] as const;
const ELSEWHERE = ["203.0.113.130", "2001:db8:3::2"] as const;

describe("what is only bridged, and a default drop on forward", () => {
  let host: LabHost;
  let a: LabGuest;
  const drop = (own: Props = {}) => ({ ...accessOf(host), hook: "forward", ...own });
  /** The kernel of the lab has br_netfilter in itself, switched on by network namespace. */
  const handedOver = (to: 0 | 1) =>
    host.run(`for layer in iptables ip6tables; do echo ${to} >/proc/sys/net/bridge/bridge-nf-call-$layer; done`);
  const all = (addresses: readonly string[]) => Promise.all(addresses.map((address) => answers(a, address)));
  const seen = async () => ({
    bridged: await all(BRIDGED),
    backOut: await all(BACK_OUT),
    elsewhere: await all(ELSEWHERE),
  });
  const OPEN = { bridged: [true, true], backOut: [true, true], elsewhere: [true, true] };
  const SHUT = { bridged: [true, true], backOut: [false, false], elsewhere: [false, false] };

  beforeAll(async () => {
    host = await startOwnHost();
    await host.run(`set -e
      ip link add br0 type bridge; ip link set br0 up
      for address in 192.0.2.126/25 198.51.100.126/25 2001:db8:1::ff/64 2001:db8:2::ff/64; do
        case $address in *:*) ip address add $address dev br0 nodad ;; *) ip address add $address dev br0 ;; esac
      done
      echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
      for file in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 >$file; done`);
    const at = (name: string, addresses: readonly string[], gateway: readonly string[]) =>
      host.guest({ name, addresses, gateway, attach: { bridge: "br0" } });
    a = await at("a", ["192.0.2.1/25", "2001:db8:1::1/64"], ["192.0.2.126", "2001:db8:1::ff"]);
    await at("b", ["192.0.2.2/25", "198.51.100.2/25", "2001:db8:1::2/64", "2001:db8:2::2/64"], ["192.0.2.126", "2001:db8:1::ff"]);
    await host.guest({
      name: "c",
      addresses: ["203.0.113.130/25", "2001:db8:3::2/64"],
      gateway: ["203.0.113.254", "2001:db8:3::ff"],
      attach: { hostAddresses: ["203.0.113.254/25", "2001:db8:3::ff/64"] },
    });
    for (const address of [...BRIDGED, ...BACK_OUT, ...ELSEWHERE]) await untilAnswered(a, address);
  }, 60_000);
  afterAll(closeConnections);

  test("passes, whether br_netfilter hands it to the IP layer or not; what is routed back out by the same bridge does not", async () => {
    const before = await host.fingerprint();
    await handedOver(0);
    expect(await seen()).toEqual(OPEN);
    const gate = await Driven.create("DefaultDrop", "forward", drop());
    expect(await seen()).toEqual(SHUT);
    await handedOver(1);
    expect(await seen()).toEqual(SHUT);
    expect(await gate.refresh()).toEqual({});
    // The control: that is what is judged where nobody says that it is bridged. No frame leaves with the mark.
    await host.run(`nft -f - <<'END'
table bridge watch {
  chain last { type filter hook postrouting priority 320; meta mark & 0x20000000 != 0 counter comment "marked"; }
}
END
      nft flush chain bridge drawbridge forward.begin`);
    closeConnections();
    expect((await seen()).bridged).toEqual([false, false]);
    expect(Object.keys(await gate.refresh())).toEqual(["bridge damaged: chain forward.begin"]);
    await gate.up(drop());
    expect(await seen()).toEqual(SHUT);
    expect((await host.run("nft list table bridge watch")).stdout).toContain("counter packets 0 ");
    await host.run("nft delete table bridge watch");
    await gate.delete();
    expect(await seen()).toEqual(OPEN);
    expect(await host.fingerprint()).toBe(before);
  });

  test("passes while the default drop comes, is edited, goes to another hook and comes back: not one packet is lost", async () => {
    await handedOver(1);
    const pinging = a.run("ping -n -q -i 0.005 -w 30 192.0.2.2 & echo $! >/run/pinging; wait $!", { allowFailure: true });
    const gate = await Driven.create("DefaultDrop", "forward", drop());
    await gate.up(drop({ allow: [{ protocol: "icmp", icmpTypes: [8], to: ["203.0.113.128/25"] }] }));
    expect(await answers(a, ELSEWHERE[0])).toBe(true);
    await gate.up(drop({ final: "reject" }));
    await gate.up(drop({ hook: "output", management: { sources: ["198.18.0.0/16"] } }));
    expect(await seen()).toEqual(OPEN);
    expect((await host.run("nft list tables")).stdout).not.toContain("bridge drawbridge");
    await gate.up(drop());
    await host.run("drawbridge-host load");
    expect(await seen()).toEqual(SHUT);
    await gate.delete();
    await host.run("kill -INT $(cat /run/pinging)");
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec((await pinging).stdout) ?? [];
    expect(Number(sent)).toBeGreaterThan(300);
    expect(received).toBe(sent);
  }, 60_000);

  test("passes after a reboot, and where the table of the default drop does not load then", async () => {
    await handedOver(1);
    const gate = await Driven.create("DefaultDrop", "forward", drop());
    await host.run(REBOOT);
    closeConnections();
    expect(await seen()).toEqual(SHUT);
    await host.run("sed -i 's/counter name/nonesuch name/' /etc/drawbridge/nft/inet-drawbridge/*default-drop*.nft");
    expect((await host.run(REBOOT, { allowFailure: true })).stderr).toContain("table inet drawbridge did not load");
    closeConnections();
    expect(await seen()).toEqual(SHUT);
    await gate.up(drop());
    expect(await seen()).toEqual(SHUT);
    await gate.delete();
    expect(await seen()).toEqual(OPEN);
  }, 60_000);
});
