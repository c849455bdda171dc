import { setTimeout as sleep } from "node:timers/promises";
import { type LabHost } from "../../tools/lab";

/** Where a flood goes: the open address is let through, as the proof that the flood runs. */
export const FLOODED = { open: "203.0.113.9", closed: ["10.9.9.9", "fd00:9::9"], raw: "10.9.9.10" } as const;

/** A socket, and so a source port, of its own for each packet. Says how many it has tried to send to closed addresses. */
const packets = `
  use Socket qw(:all);
  my ($count, @addresses) = @ARGV;
  my ($open, @closed) = map { /:/ ? [AF_INET6, pack_sockaddr_in6(4009, inet_pton(AF_INET6, $_))] : [AF_INET, pack_sockaddr_in(4009, inet_aton($_))] } @addresses;
  sub post { socket(my $socket, $_[0][0], SOCK_DGRAM, 0) or die "socket: $!"; send($socket, "flood", 0, $_[0][1]); close $socket }
  open my $out, "+>", $count or die "open: $!";
  for (my $sent = 0; ; select undef, undef, undef, 0.01) {
    for (1 .. 10) { post($_) for @closed; $sent += @closed }
    post($open);
    sysseek $out, 0, 0; syswrite $out, sprintf "%12d\\n", $sent;
  }`;

/** The same by raw frames out of eth0, to the outside switch itself. */
const frames = `
  my ($count, $index, $open, $closed) = @ARGV;
  socket(my $socket, 17, 3, unpack("S", pack("n", 3))) or die "socket: $!";
  my $address = pack("S n i S C C a8", 17, 0x0800, $index, 0, 0, 6, "");
  my $port = 1024;
  sub frame {
    my $head = pack("C C n n n C C n a4 a4", 0x45, 0, 33, 0, 0, 64, 17, 0, pack("C4", 203, 0, 113, 77), pack("C4", split /[.]/, $_[0]));
    my $total = unpack("%32n*", $head);
    $total = ($total & 0xffff) + ($total >> 16) while $total > 0xffff;
    substr $head, 10, 2, pack("n", ~$total & 0xffff);
    return pack("H*", "02db0000000102aaaaaaaa010800") . $head . pack("n n n n a5 x32", $port = $port % 64000 + 1024, 4009, 13, 0, "flood");
  }
  open my $out, "+>", $count or die "open: $!";
  for (my $sent = 0; ; select undef, undef, undef, 0.01) {
    for (1 .. 20) { send($socket, frame($closed), 0, $address); $sent++ }
    send($socket, frame($open), 0, $address);
    sysseek $out, 0, 0; syswrite $out, sprintf "%12d\\n", $sent;
  }`;

export interface Counted {
  /** How many packets to closed addresses each flood has tried to send. */
  readonly sent: Readonly<Record<string, number>>;
  /** How many packets have come out of the host, by their destination. */
  readonly through: Readonly<Record<string, number>>;
}

/** Floods that run until their host is down, and what of them comes out of it. */
export class Flood {
  readonly #names: string[] = [];
  readonly #port: string;

  constructor(readonly host: LabHost) {
    const [, , high = 0, low = 0] = host.address.split(".").map(Number);
    this.#port = `lab${high * 256 + low}`;
  }

  /** Counts outside, at the very port that the host is plugged into. */
  async watch(): Promise<void> {
    const rules = [FLOODED.open, FLOODED.raw, ...FLOODED.closed].map(
      (address) => `${address.includes(":") ? "ip6" : "ip"} daddr ${address} counter drop`,
    );
    await this.host.outside("nft -f -", {
      stdin: `table netdev flood_${this.#port} { chain in { type filter hook ingress device "${this.#port}" priority 0; policy accept;\n${rules.join("\n")}\n}\n}\n`,
    });
  }

  async end(): Promise<void> {
    await this.host.outside(`nft delete table netdev flood_${this.#port}`);
  }

  /** New flows from a host or a guest, some thousands a second. */
  async packets(name: string, from: Pick<LabHost, "run">): Promise<void> {
    await this.#start(name, from, packets, `${FLOODED.open} ${FLOODED.closed.join(" ")}`);
  }

  /** Raw frames out of eth0. */
  async frames(name: string, from: Pick<LabHost, "run">): Promise<void> {
    await this.#start(name, from, frames, `$(ip -o link show eth0 | cut -d: -f1) ${FLOODED.open} ${FLOODED.raw}`);
  }

  async #start(name: string, from: Pick<LabHost, "run">, script: string, args: string): Promise<void> {
    await from.run(
      `cat >/run/flood-${name}.pl; setsid -f perl /run/flood-${name}.pl /run/flood-${name} ${args} </dev/null >/dev/null 2>/run/flood-${name}.log`,
      { stdin: script },
    );
    await from.run(
      `for i in $(seq 500); do [ -s /run/flood-${name} ] && exit 0; sleep 0.02; done; cat /run/flood-${name}.log; exit 1`,
    );
    this.#names.push(name);
  }

  /** Takes the cable out until `work` is done. */
  async unplugged(work: () => Promise<unknown>): Promise<void> {
    await this.host.outside(`ip link set ${this.#port} down`);
    await work();
    await this.host.outside(`ip link set ${this.#port} up`);
  }

  async count(): Promise<Counted> {
    const counts = await this.host.run(this.#names.map((name) => `echo ${name} $(cat /run/flood-${name})`).join("\n"));
    const sent = counts.stdout.matchAll(/^(\S+) (\d+)$/gm);
    const { stdout } = await this.host.outside(`nft list table netdev flood_${this.#port}`);
    const through = stdout.matchAll(/daddr (\S+) counter packets (\d+)/g);
    return {
      sent: Object.fromEntries([...sent].map(([, name = "", count]) => [name, Number(count)])),
      through: Object.fromEntries([...through].map(([, address = "", count]) => [address, Number(count)])),
    };
  }
}

/** What has come between two counts. */
export function between(before: Counted, after: Counted): Counted {
  const less = (one: Counted["sent"], other: Counted["sent"]) =>
    Object.fromEntries(Object.entries(one).map(([name, count]) => [name, count - (other[name] ?? 0)]));
  return { sent: less(after.sent, before.sent), through: less(after.through, before.through) };
}

/** Packets that each would open a connection, as fast as they can be sent, until the file /run/enough is there. What is dropped on `output` fails `send`. */
const allowed = `
  use Socket qw(:all);
  socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die "socket: $!";
  my $to = pack_sockaddr_in(4009, inet_aton("${FLOODED.open}"));
  my ($sent, $lost) = (0, 0);
  until (-e "/run/enough") { for (1 .. 100) { $sent++; send($socket, "x", 0, $to) or $lost++ } }
  print "$sent $lost\n";`;

/** How many packets to the open address the host itself drops on `output` while `work` is done. */
export async function lostIn(host: Pick<LabHost, "run">, work: () => Promise<unknown>): Promise<{ sent: number; lost: number }> {
  await host.run("rm -f /run/enough");
  const sending = host.run('exec perl -e "$(cat)"', { stdin: allowed });
  await sleep(200);
  await work().finally(() => host.run("touch /run/enough"));
  const [sent = 0, lost = 0] = (await sending).stdout.split(" ").map(Number);
  if (sent < 1000) throw new Error(`only ${sent} packets were sent`);
  return { sent, lost };
}
