const etherType = 0x0003;

/** A script that sends one ethernet frame out of an interface, by an AF_PACKET socket. */
export function frameScript(interfaceName: string, frame: Buffer): string {
  return `exec perl -e '
    my ($index, $frame) = @ARGV;
    socket(my $socket, 17, 3, unpack("S", pack("n", ${etherType}))) or die "socket: $!";
    my $address = pack("S n i S C C a8", 17, ${etherType}, $index, 0, 0, 6, "");
    defined(send($socket, pack("H*", $frame), 0, $address)) or die "send: $!";
  ' "$(cat '/sys/class/net/${interfaceName}/ifindex')" ${frame.toString("hex")}`;
}
