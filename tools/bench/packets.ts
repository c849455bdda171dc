import { closeConnections } from "../../test/lab/drive";
import { type LabHost, startHost } from "../lab";
import { median } from "./figure";

/** The device that packets leave by; what comes out of it is swallowed. */
export const SINK = "sink";

const PACKETS = 1_000_000;
const AT_ONCE = 1000;

/**
 * Packets a second that one sender gets out. It hands over many with each system call (sendmmsg(2)), so that it is the kernel that takes the
 * time, and not the sender.
 */
async function packetRate(host: LabHost): Promise<number> {
  const { stdout } = await host.run(`
    ip link show ${SINK} >/dev/null 2>&1 || {
      ip link add ${SINK} type veth peer name drain && ip link set ${SINK} up && ip link set drain up
      ip address add 192.0.2.254/24 dev ${SINK} && ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev ${SINK}
    }
    perl -MSocket -MTime::HiRes=time -e '
      my $sendmmsg = {x86_64 => 307, aarch64 => 269, riscv64 => 269}->{(split " ", qx(uname -m))[0]} or die "which system call?";
      socket(my $socket, PF_INET, SOCK_DGRAM, 0); connect($socket, sockaddr_in(9, inet_aton("192.0.2.9"))) or die $!;
      my $payload = "x" x 22;
      my $part = pack("PQ", $payload, length $payload);
      my $messages = pack("QLLPQQQLLLL", 0, 0, 0, $part, 1, 0, 0, 0, 0, 0, 0) x ${AT_ONCE};
      my $begin = time;
      for (1 .. ${PACKETS / AT_ONCE}) { syscall($sendmmsg, fileno $socket, $messages, ${AT_ONCE}, 0) == ${AT_ONCE} or die $! }
      print ${PACKETS} / (time - $begin)'`);
  return Number(stdout);
}

const ROUNDS = 9;

/** The packet rate of a host with much on it ÷ that of one with little: medians of two hosts that take turns. */
export async function compareRates(
  say: (text: string) => void,
  little: (host: LabHost) => Promise<unknown>,
  much: (host: LabHost) => Promise<unknown>,
): Promise<number> {
  const hosts = await Promise.all([startHost(), startHost()]);
  try {
    say("making what they have");
    await Promise.all([little(hosts[0]), much(hosts[1])]);
    const rates: [number[], number[]] = [[], []];
    for (let round = 1; round <= ROUNDS; round++) {
      say(`round ${round} of ${ROUNDS}`);
      rates[0].push(await packetRate(hosts[0]));
      rates[1].push(await packetRate(hosts[1]));
    }
    return median(rates[1]) / median(rates[0]);
  } finally {
    closeConnections();
    await Promise.all(hosts.map((host) => host.down()));
  }
}
