import { setTimeout as sleep } from "node:timers/promises";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, check, Driven, type Props } from "./drive";

// The kernel of namespaces has policies but no ESP: that what travels in a tunnel passes is shown in the VM (test/vm).
const BEHIND = "10.77.0.9";
const BEHIND6 = "fd77::9";
const ELSEWHERE = "10.78.0.9";

let host: LabHost;

beforeAll(async () => {
  host = await startHost();
  await host.outside(`
    for address in ${BEHIND}/32 ${ELSEWHERE}/32; do ip address add $address dev labsw; done
    ip address add ${BEHIND6}/128 dev labsw nodad`);
});
afterAll(() => host.down());

const pings = async (on: Pick<LabHost, "run">, address: string, from = "") =>
  (await on.run(`ping -q -c 1 -W 1 ${from} ${address} >/dev/null && echo yes || echo no`)).stdout.trim();
/** From outside to the host, by the source that lies behind the tunnel. */
const reached = async (source: string, to: string) =>
  (await host.outside(`ping -q -c 1 -W 1 -I ${source} ${to} >/dev/null && echo yes || echo no`)).stdout.trim();

async function dropping(args: Props, work: (resource: Driven) => Promise<void>): Promise<void> {
  const resource = await Driven.create("IpsecPolicyDrop", "vpn", {
    ...accessOf(host),
    networks: ["10.77.0.0/16", "fd77::/64"],
    ...args,
  });
  try {
    await work(resource);
  } finally {
    await resource.delete();
  }
}

const counters = async () => (await host.run("nft list counters | grep -A1 'ipsec-policy-drop' | tr -d '\\n'")).stdout;

test("without it clear text goes both ways", async () => {
  for (const address of [BEHIND, BEHIND6, ELSEWHERE]) expect(await pings(host, address)).toBe("yes");
  expect(await reached(BEHIND, host.address)).toBe("yes");
  expect(await reached(BEHIND6, host.address6)).toBe("yes");
});

test("clear text to and from the networks is dropped, counted and logged; other networks are not touched", async () => {
  await dropping({}, async (resource) => {
    for (const address of [BEHIND, BEHIND6]) expect(await pings(host, address)).toBe("no");
    expect(await pings(host, ELSEWHERE)).toBe("yes");
    expect(await reached(BEHIND, host.address)).toBe("no");
    expect(await reached(BEHIND6, host.address6)).toBe("no");
    expect(await reached(ELSEWHERE, host.address)).toBe("yes");
    const text = await counters();
    for (const name of ["out.10.77.0.0/16", "out.fd77__/64", "in.10.77.0.0/16", "in.fd77__/64"])
      expect(text).toMatch(new RegExp(`\\.${name} \\{\\s*packets [1-9]`));
    expect(await resource.refresh()).toEqual({});
  });
});

test("what is forwarded for guests is judged as the host's own", async () => {
  const guest = await host.guest({
    name: "client",
    addresses: ["100.64.9.2/24"],
    gateway: "100.64.9.1",
    attach: { hostAddresses: ["100.64.9.1/24"] },
  });
  await host.outside(`ip route replace 100.64.9.0/24 via ${host.address}`);
  await host.run("sysctl -qw net.ipv4.ip_forward=1");
  expect(await pings(guest, BEHIND)).toBe("yes");
  await dropping({}, async () => {
    expect(await pings(guest, BEHIND)).toBe("no");
    expect(await pings(guest, ELSEWHERE)).toBe("yes");
  });
});

test("one direction alone; an interface; exceptions", async () => {
  // An echo needs both ways; a counter tells which one was cut.
  await dropping({ direction: "out" }, async () => {
    expect(await pings(host, BEHIND)).toBe("no");
    expect(await counters()).not.toContain(".in.");
  });
  await dropping({ direction: "in" }, async () => {
    expect(await pings(host, BEHIND)).toBe("no");
    expect(await counters()).not.toContain(".out.");
  });
  await dropping({ interface: "eth9" }, async () => expect(await pings(host, BEHIND)).toBe("yes"));
  await dropping({ interface: "eth0" }, async () => expect(await pings(host, BEHIND)).toBe("no"));
  const exceptions = [
    { cidr: BEHIND, direction: "to" },
    { cidr: BEHIND, direction: "from" },
  ];
  await dropping({ exceptions }, async () => {
    expect(await pings(host, BEHIND)).toBe("yes");
    expect(await pings(host, BEHIND6)).toBe("no");
  });
});

test("neighbours are found and tunnels can be made although everything else belongs in one", async () => {
  await host.run("ip neigh flush dev eth0; ip -6 neigh flush dev eth0");
  // The addresses of this connection itself are excepted, or the host would undo the change.
  const exceptions = ["198.18.0.0/16", "2001:db8:77::/64"].flatMap((cidr) =>
    ["to", "from"].map((direction) => ({ cidr, direction })),
  );
  await dropping({ networks: ["0.0.0.0/0", "::/0"], interface: "eth0", exceptions }, async () => {
    await host.run("ip neigh flush dev eth0; ip -6 neigh flush dev eth0");
    expect(await pings(host, "198.18.0.1")).toBe("yes");
    expect(await pings(host, "2001:db8:77::1")).toBe("yes");
    expect(await pings(host, ELSEWHERE)).toBe("no");
    const heard = async (port: number) => {
      const listening = host.outside(`timeout 4 nc -u -l -W 1 ${BEHIND} ${port} || true`);
      await sleep(500);
      await host.run(`echo hello | nc -u -w 1 -p ${port} ${BEHIND} ${port} || true`);
      return (await listening).stdout.trim();
    };
    expect(await heard(500)).toBe("hello");
    expect(await heard(4500)).toBe("hello");
    expect(await heard(4501)).toBe("");
  });
});

test("the ports of key exchange carry nothing for users, for guests or to other ends, and a published port is no way round", async () => {
  await host.run(`nft -f - <<'end'
table ip foreign {
	chain output { type nat hook output priority -100; ip daddr ${host.address} udp dport 9999 dnat to ${BEHIND}:53; }
	chain post { type nat hook postrouting priority 100; oifname "eth0" masquerade; }
}
end`);
  const guest = await host.guest({
    name: "masked",
    addresses: ["192.168.5.2/24"],
    gateway: "192.168.5.1",
    attach: { hostAddresses: ["192.168.5.1/24"] },
  });
  await host.run("sysctl -qw net.ipv4.ip_forward=1");
  const user = "setpriv --reuid mybro --regid mybro --clear-groups --";
  // Two ports: what masquerading makes of the guest's would clash with the host's own.
  await host.outside(`for port in 53 54; do
      perl -e 'use Socket; use IO::Handle; socket(S, AF_INET, SOCK_DGRAM, 17); bind(S, pack_sockaddr_in($ARGV[0], inet_aton("${BEHIND}"))) or die;
        open(O, ">>", "/tmp/heard") or die; O->autoflush(1); while (defined recv(S, my $text, 99, 0)) { print O $text }' $port >/dev/null 2>&1 </dev/null &
      echo $! >>/tmp/hearing
    done
    for i in $(seq 100); do [ $(ss -lun | grep -c '${BEHIND}:5[34] ') = 2 ] && exit; sleep 0.1; done; exit 1`);
  const send = (word: string, from: number, to: string, port: number) =>
    `perl -e 'use Socket; socket(S, AF_INET, SOCK_DGRAM, 17); bind(S, pack_sockaddr_in(${from}, INADDR_ANY)) or die; send(S, "${word}\\n", 0, pack_sockaddr_in(${port}, inet_aton("${to}")))'`;
  const ways: Record<string, () => Promise<unknown>> = {
    root: () => host.run(send("root", 4500, BEHIND, 53), { allowFailure: true }),
    user: () => host.run(`${user} ${send("user", 4500, BEHIND, 53)}`, { allowFailure: true }),
    guest: () => guest.run(send("guest", 4500, BEHIND, 54), { allowFailure: true }),
    published: () => host.run(send("published", 4501, host.address, 9999), { allowFailure: true }),
  };
  /** Which of the ways lead behind the tunnel. */
  const heard = async () => {
    await host.run(": >/tmp/heard");
    for (const way of Object.values(ways)) await way();
    const { stdout } = await host.outside(`${send("end", 0, BEHIND, 53)}
      for i in $(seq 100); do grep -q end /tmp/heard && break; sleep 0.1; done; cat /tmp/heard`);
    return stdout.replaceAll("\0", "").trim().split("\n").slice(0, -1);
  };
  try {
    expect(await heard()).toEqual(Object.keys(ways));
    await dropping({}, async () => expect(await heard()).toEqual(["root"]));
    await dropping({ remoteEndpoint: ELSEWHERE }, async () => expect(await heard()).toEqual([]));
    // ESP that travels in UDP has the sender of what is inside, so that this one far end is all that the port reaches.
    await dropping({ remoteEndpoint: BEHIND }, async () => expect(await heard()).toEqual(["root", "user", "guest"]));
  } finally {
    await host.run("kill $(cat /tmp/hearing); nft delete table ip foreign");
    await guest.down();
  }
});

test("a rehearsal counts and lets pass", async () => {
  await dropping({ mode: "log" }, async () => {
    expect(await pings(host, BEHIND)).toBe("yes");
    expect(await counters()).toMatch(/packets [1-9]/);
  });
});

test("a kernel without IPsec is refused, since everything would be dropped", async () => {
  const stub =
    '[ "$1" = xfrm ] && { echo "Cannot open netlink socket: Protocol not supported" >&2; exit 1; }; exec /usr/sbin/ip "$@"';
  await host.run(`printf '#!/bin/sh\\n%s\\n' '${stub}' >/usr/local/sbin/ip; chmod 755 /usr/local/sbin/ip`);
  try {
    await expect(dropping({}, () => Promise.resolve())).rejects.toMatchObject({
      failure: { code: "rejected", reason: expect.stringContaining("this kernel has no IPsec") as unknown },
    });
  } finally {
    await host.run("rm /usr/local/sbin/ip");
  }
  await dropping({}, async (resource) => expect(await resource.refresh()).toEqual({}));
});

test.each([
  ["endpoints of two versions", { localEndpoint: "192.0.2.1", remoteEndpoint: "2001:db8::1" }, /^remoteEndpoint: /],
  ["the article's prefix with host bits", { networks: ["10.0.1.1/24"] }, /^networks\[0\]: .*did you mean "10\.0\.1\.0\/24"/],
  ["a prefix without a length behind the slash", { networks: ["0.0.0.0/"] }, /^networks\[0\]: /],
  ["a request id that means any", { reqid: 0 }, /^reqid: /],
])("refused beforehand: %s", async (_title, args, reason) => {
  const { failures } = await check("IpsecPolicyDrop", "wrong", { ...accessOf(host), networks: ["10.77.0.0/16"], ...args });
  expect(failures.map((failure) => `${failure.property}: ${failure.reason}`)).toEqual([expect.stringMatching(reason)]);
});

test("one that drops Pulumi's own connection is rolled back, and the error names its rule and the exception that it lacks", async () => {
  const args = { ...accessOf(host), networks: ["198.18.0.0/16"], confirmDeadlineSeconds: 6 };
  const failure: unknown = await Driven.create("IpsecPolicyDrop", "lock-out", args).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    failure: {
      code: "undone",
      // No counter stood there before.
      reason: expect.stringMatching(/rolled it back after 6 s[^]*its rule "(in|out) 198\.18\.0\.0\/16" has met [1-9]/) as unknown,
      wayOut: expect.stringMatching(/the exception \{ cidr: "198\.18\.0\.1\/32", direction: "(to|from)" \}/) as unknown,
    },
  });
});
