import type { LabHost } from "../lab";

/** The device that packets leave by; what comes out of it is swallowed. */
export const SINK = "sink";

const PACKETS = 1_000_000;
const AT_ONCE = 1000;

/**
 * Packets a second that one sender gets out. It hands over many with each system call (sendmmsg(2)), so that it is the kernel that takes the
 * time, and not the sender.
 */
export async function packetRate(host: LabHost): Promise<number> {
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
