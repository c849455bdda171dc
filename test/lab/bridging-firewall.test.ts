import type { LabGuest, LabHost } from "../../tools/lab";
import { accessOf, closeConnections, Driven, type Props } from "./drive";
import { answers, startOwnHost, untilAnswered } from "./guests";

// The article "Drawbridge": SSH to 192.168.0.16 from clients behind one port of the bridge to the server behind the other one, and nothing the other way round.
const [CLIENT, SERVER] = ["192.168.0.5", "192.168.0.16"] as const;
const [CLIENT6, SERVER6] = ["2001:db8:1::5", "2001:db8:1::16"] as const;

/** Takes connections of both IP versions to each port that it is given, and ends them. */
const LISTEN = `
  use Socket qw(:all);
  for my $port (@ARGV) {
    fork and next;
    socket(my $listener, AF_INET6, SOCK_STREAM, 0) or die "socket: $!";
    setsockopt($listener, IPPROTO_IPV6, IPV6_V6ONLY, 0) or die "setsockopt: $!";
    setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1) or die "setsockopt: $!";
    bind($listener, pack_sockaddr_in6($port, inet_pton(AF_INET6, "::"))) or die "bind: $!";
    listen($listener, 128) or die "listen: $!";
    while (accept(my $connection, $listener)) { close $connection }
  }`;

describe("a default drop of a bridge", () => {
  let host: LabHost;
  let client: LabGuest;
  let server: LabGuest;
  const own = (more: Props = {}): Props => ({ ...accessOf(host), hook: "forward", bridge: "br0", ...more });
  const connects = async (from: LabGuest, to: string, port: number, options = "") =>
    (await from.run(`nc -z ${options} -w 1 ${to} ${port}`, { allowFailure: true })).code === 0;
  const ssh = () =>
    Promise.all([
      connects(client, SERVER, 22),
      connects(client, SERVER6, 22),
      connects(client, SERVER, 23),
      connects(server, CLIENT, 22),
      connects(server, CLIENT6, 22),
    ]);
  /** Both directions of what the article lets pass, for a kernel that does not follow the connections of bridges. */
  const bothWays = (more: Props = {}) => [
    { protocol: "tcp", ports: [22], inPort: client.interface, outPort: server.interface, to: [SERVER, SERVER6], ...more },
    { protocol: "tcp", sourcePorts: [22], inPort: server.interface, outPort: client.interface, from: [SERVER, SERVER6] },
  ];

  beforeAll(async () => {
    host = await startOwnHost();
    await host.run("ip link add br0 type bridge; ip link set br0 up");
    const guest = (name: string, addresses: readonly string[]) => host.guest({ name, addresses, attach: { bridge: "br0" } });
    client = await guest("client", [`${CLIENT}/24`, `${CLIENT6}/64`]);
    server = await guest("server", [`${SERVER}/24`, `${SERVER6}/64`]);
    for (const one of [client, server])
      await one.run("cat >/run/listen.pl; setsid -f perl /run/listen.pl 22 23 </dev/null >/dev/null 2>&1", { stdin: LISTEN });
    for (const address of [SERVER, SERVER6]) await untilAnswered(client, address);
  }, 60_000);
  afterAll(closeConnections);

  test("lets SSH through in one direction, of both IP versions, and nothing else but ARP and neighbour discovery", async () => {
    const before = await host.fingerprint();
    expect(await ssh()).toEqual([true, true, true, true, true]);
    const drop = await Driven.create("DefaultDrop", "bridge", own({ established: false, allow: bothWays() }));
    expect(await ssh()).toEqual([true, true, false, false, false]);
    expect(await Promise.all([answers(client, SERVER), answers(client, SERVER6)])).toEqual([false, false]);
    // Who has forgotten his neighbour asks for it.
    for (const one of [client, server]) await one.run("ip neigh flush dev eth0");
    expect(await ssh()).toEqual([true, true, false, false, false]);
    expect(await drop.refresh()).toEqual({});

    const ping = await Driven.create("Allow", "ping", own({ protocol: "icmp", from: ["192.168.0.0/24"] }));
    expect(await Promise.all([answers(client, SERVER), answers(client, SERVER6)])).toEqual([true, false]);
    const deny = await Driven.create("Deny", "suspicious", own({ from: [CLIENT] }));
    expect([await answers(client, SERVER), ...(await ssh())]).toEqual([false, false, true, false, false, false]);
    await deny.delete();
    expect([await answers(client, SERVER), ...(await ssh())]).toEqual([true, true, true, false, false, false]);
    for (const one of [drop, ping]) expect(await one.refresh()).toEqual({});

    await host.run("nft flush chain bridge drawbridge drop.forward");
    closeConnections();
    expect(Object.keys(await drop.refresh())).toEqual(["bridge damaged: chain drop.forward"]);
    await drop.up(own({ established: false, allow: bothWays() }));
    expect(await ssh()).toEqual([true, true, false, false, false]);

    await ping.delete();
    await drop.delete();
    expect(await ssh()).toEqual([true, true, true, true, true]);
    expect(await host.fingerprint()).toBe(before);
  });

  test("the pool of the article: who is in the set comes through, and an address more is an element more", async () => {
    const left = { name: "left", fences: true };
    const set = await Driven.create("AddressSet", "left", { ...accessOf(host), ...left, addresses: ["192.168.0.17"] });
    const drop = await Driven.create(
      "DefaultDrop",
      "bridge",
      own({ established: false, allow: bothWays({ from: { set: "left" }, to: undefined }) }),
    );
    expect((await ssh())[0]).toBe(false);
    await set.up({ ...accessOf(host), ...left, addresses: ["192.168.0.17", CLIENT] });
    expect(await ssh()).toEqual([true, false, false, false, false]);
    expect([await drop.refresh(), await set.refresh()]).toEqual([{}, {}]);
    await drop.delete();
    await set.delete();
  });

  test("a boot brings it back; where its table does not load, ARP and neighbour discovery pass, and nothing else", async () => {
    const drop = await Driven.create("DefaultDrop", "bridge", own({ established: false, allow: bothWays() }));
    const REBOOT = "nft flush ruleset; drawbridge-host settle; drawbridge-host load";
    await host.run(REBOOT);
    expect(await ssh()).toEqual([true, true, false, false, false]);
    await host.run("sed -i 's/counter name/nonesuch name/' /etc/drawbridge/nft/bridge-drawbridge/*.nft");
    expect((await host.run(REBOOT, { allowFailure: true })).code).not.toBe(0);
    for (const one of [client, server]) await one.run("ip neigh flush dev eth0");
    expect(await ssh()).toEqual([false, false, false, false, false]);
    expect((await client.run(`ip neigh show ${SERVER}; ip neigh show ${SERVER6}`)).stdout.match(/lladdr/g)).toHaveLength(2);
    expect(Object.keys(await drop.refresh())).toContainEqual(expect.stringMatching(/^file .*bridge-drawbridge/));
    await drop.up(own({ established: false, allow: bothWays() }));
    expect(await ssh()).toEqual([true, true, false, false, false]);
    await drop.delete();
  });

  test("what the kernel cannot do, or nobody could mean, is refused with the way out", async () => {
    const create = (more: Props) => Driven.create("DefaultDrop", "bridge", own(more));
    await expect(create({})).rejects.toThrow(/bridge: this kernel does not follow connections of bridges.*established: false/);
    await expect(create({ established: false, final: "reject" })).rejects.toThrow('final: must be "drop" with `bridge`');
    await expect(create({ established: false, hook: "input", management: { sources: ["198.18.0.0/15"] } })).rejects.toThrow(
      'bridge: needs `hook: "forward"`',
    );
    await expect(create({ established: false, allow: [{ protocol: "tcp", in: "eth0" }] })).rejects.toThrow(
      /allow\[0\]\.in: is an interface of the IP layer.*inPort/,
    );
    await expect(Driven.create("Allow", "ports", { ...accessOf(host), hook: "forward", inPort: "eth0" })).rejects.toThrow(
      "inPort: is a port of a bridge, and needs `bridge`",
    );
    await host.run("ip link add br1 type bridge");
    closeConnections();
    await expect(create({ established: false })).rejects.toThrow(/those of br1 would be judged, too; with `force: true`/);
    const forced = await create({ established: false, force: true });
    await forced.delete();
    await host.run("ip link delete br1");
    closeConnections();
    const drop = await create({ established: false });
    await expect(Driven.create("DefaultDrop", "second", own({ established: false }))).rejects.toThrow(
      /has a default drop already, DefaultDrop bridge of the stack tests\/lab, and forward of br0 can have one only/,
    );
    await drop.delete();
  });
});
