import type { LabHost, Vm } from "../../tools/lab";

/**
 * Makes a lab host the router of one machine, and of nobody else on its wire: it answers its DHCP requests (RFC 2131) with the address that it
 * has, and tells it the prefix 2001:db8:5::/64 (RFC 4861). What the machine asked stands in /run/asked: message type, client id, address asked for.
 */
export async function startRouter(host: LabHost, vm: Vm, mac: string, gateway: string): Promise<void> {
  await host.run("cat >/run/dhcp.pl", { stdin: DHCP });
  await host.run("cat >/run/router.pl", { stdin: ADVERTISE });
  await host.run(
    `setsid -f perl /run/dhcp.pl ${mac.replaceAll(":", "")} ${vm.address} ${gateway} ${host.address} </dev/null >/run/dhcp.log 2>&1
     setsid -f perl /run/router.pl "$(cat /sys/class/net/eth0/ifindex)" ${linkLocalOf(mac)} </dev/null >/run/router.log 2>&1`,
  );
}

/** The address that a device makes of its MAC address, RFC 4291 appendix A. */
function linkLocalOf(mac: string): string {
  const [a = 0, b = 0, c = 0, ...rest] = mac.split(":").map((byte) => parseInt(byte, 16));
  const bytes = [a ^ 2, b, c, 0xff, 0xfe, ...rest].map((byte) => byte.toString(16).padStart(2, "0"));
  return `fe80::${[0, 2, 4, 6].map((at) => bytes.slice(at, at + 2).join("")).join(":")}`;
}

const DHCP = `use Socket;
my ($mac, $address, $gateway, $self) = @ARGV;
socket(S, PF_INET, SOCK_DGRAM, 17) or die;
setsockopt(S, SOL_SOCKET, SO_BROADCAST, 1) or die;
setsockopt(S, SOL_SOCKET, 25, "eth0\\0") or die; # SO_BINDTODEVICE
bind(S, sockaddr_in(67, INADDR_ANY)) or die;
open(my $asked, ">>", "/run/asked"); select($asked); $| = 1;
sub option { my ($code, $value) = @_; pack("CC", $code, length $value) . $value }
while (defined recv(S, my $message, 1500, 0)) {
	next unless unpack("H12", substr($message, 28, 6)) eq $mac;
	my ($at, %has) = (240);
	while ($at < length $message and (my $code = ord substr($message, $at, 1)) != 255) {
		if ($code == 0) { $at++; next }
		my $length = ord substr($message, $at + 1, 1);
		$has{$code} = substr($message, $at + 2, $length);
		$at += 2 + $length;
	}
	my $type = ord $has{53};
	print "$type ", unpack("H*", $has{61} // ""), " ", join(".", unpack("C4", $has{50} // substr($message, 12, 4))), "\\n";
	next unless $type == 1 or $type == 3;
	my $reply = pack("C4", 2, 1, 6, 0) . substr($message, 4, 4) . pack("nn", 0, 0x8000) . "\\0" x 4 . inet_aton($address) . inet_aton($self)
		. "\\0" x 4 . substr($message, 28, 16) . "\\0" x 192 . pack("H8", "63825363") . option(53, pack("C", $type == 1 ? 2 : 5))
		. option(54, inet_aton($self)) . option(51, pack("N", 3600)) . option(1, inet_aton("255.255.0.0")) . option(3, inet_aton($gateway)) . "\\xff";
	# Who has an address already, and renews it, listens there alone (RFC 2131, 4.1).
	my $has_one = substr($message, 12, 4);
	send(S, $reply, 0, sockaddr_in(68, $has_one eq "\\0" x 4 ? INADDR_BROADCAST : $has_one));
}
`;

// To the one machine, not to all nodes; and no router for what lies beyond.
const ADVERTISE = `use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
my ($index, $to) = @ARGV;
socket(S, PF_INET6, SOCK_RAW, 58) or die;
setsockopt(S, 41, 16, pack("i", 255)) or die; # IPV6_UNICAST_HOPS
my $advertisement = pack("CCnCCnNN", 134, 0, 0, 64, 0, 0, 0, 0)
	. pack("CCCCNNN", 3, 4, 64, 0xc0, 7200, 3600, 0) . inet_pton(AF_INET6, "2001:db8:5::");
while (1) {
	send(S, $advertisement, 0, pack_sockaddr_in6(0, inet_pton(AF_INET6, $to), $index));
	sleep 1;
}
`;
