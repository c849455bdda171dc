import type { Packet } from "../../dist/core/netfilter/packet";
import type { Prefix } from "../../dist/core/values/prefix";

/** Numbers of the protocols, and of what stands for any other one (RFC 3692). */
const NUMBERS = { tcp: 6, udp: 17, icmp: 1, icmpv6: 58, esp: 50, ah: 51, other: 253 } as const;
const [SYN, RST, ACK] = [0x02, 0x04, 0x10] as const;

/** An ethernet frame with a packet that is as it is said, checksums right: conntrack takes nothing else for new. `about`: the packet that an ICMP error is about. */
export function frameOf(packet: Packet, hardware: { from: string; to: string }, about?: Packet): Buffer {
  const head = Buffer.from(
    `${hardware.to}${hardware.from}`.replaceAll(":", "") + (packet.version === 4 ? "0800" : "86dd"),
    "hex",
  );
  const bytes = Buffer.concat([head, packetOf(packet, about)]);
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, 60 - bytes.length))]);
}

/** Sends them all out of an interface, by an AF_PACKET socket. */
export const sendScript = (interfaceName: string, frames: readonly Buffer[]) => `exec perl -e '
  my $index = shift;
  socket(my $socket, 17, 3, 768) or die "socket: $!";
  for (@ARGV) { defined(send($socket, pack("H*", $_), 0, pack("S n i S C C a8", 17, 3, $index, 0, 0, 6, ""))) or die "send: $!"; }
' "$(ip -o link show dev ${interfaceName} | cut -d: -f1)" ${frames.map((frame) => frame.toString("hex")).join(" ")}`;

/** Sends them from the host itself, each with a mark; who is dropped on the way out is told so. */
export function sendRawScript(marked: readonly { packet: Packet; mark: number }[]): string {
  const words = marked.map(
    ({ packet, mark }) => `${mark}:${bytesOf(packet.destination).toString("hex")}:${packetOf(packet).toString("hex")}`,
  );
  return `exec perl -e '
    use Errno qw(EPERM);
    for (@ARGV) {
      my ($mark, $to, $packet) = split /:/;
      my $is4 = length($to) == 8;
      socket(my $socket, $is4 ? 2 : 10, 3, 255) or die "socket: $!";
      setsockopt($socket, 1, 36, pack("I", $mark)) or die "mark: $!";
      my $address = $is4 ? pack("S n H8 x8", 2, 0, $to) : pack("S n N H32 N", 10, 0, 0, $to, 0);
      defined(send($socket, pack("H*", $packet), 0, $address)) or $!{EPERM} or die "send: $!";
    }
  ' ${words.join(" ")}`;
}

function packetOf(packet: Packet, about?: Packet): Buffer {
  const [source, destination] = [bytesOf(packet.source), bytesOf(packet.destination)];
  const number = NUMBERS[packet.protocol ?? "other"];
  // What stands behind the first fragment has no header, and is at an offset of 1480 bytes.
  const payload = packet.laterFragment ? Buffer.alloc(16) : payloadOf(packet, about);
  const hops = packet.hopLimit ?? 64;
  if (packet.version === 6 && packet.laterFragment) {
    const head = Buffer.from([0x60, 0, 0, 0, 0, 8 + payload.length, 44, hops]);
    return Buffer.concat([head, source, destination, Buffer.from([number, 0, 1480 >> 8, 1480 & 255, 0, 0, 0, 1]), payload]);
  }
  if (packet.version === 6) {
    const pseudo = Buffer.concat([
      source,
      destination,
      Buffer.from([0, 0, payload.length >> 8, payload.length & 255, 0, 0, 0, number]),
    ]);
    const head = Buffer.from([0x60, 0, 0, 0, payload.length >> 8, payload.length & 255, number, hops]);
    return Buffer.concat([head, source, destination, summed(packet, payload, pseudo)]);
  }
  const pseudo = Buffer.concat([source, destination, Buffer.from([0, number, payload.length >> 8, payload.length & 255])]);
  const head = Buffer.concat([
    Buffer.from([0x45, 0, 0, 20 + payload.length, 0, 0, 0, 0, hops, number, 0, 0]),
    source,
    destination,
  ]);
  if (packet.laterFragment) head.writeUInt16BE(1480 / 8, 6);
  head.writeUInt16BE(checksum(head), 10);
  if (packet.laterFragment) return Buffer.concat([head, payload]);
  return Buffer.concat([head, summed(packet, payload, packet.protocol === "icmp" ? Buffer.alloc(0) : pseudo)]);
}

function payloadOf(packet: Packet, about?: Packet): Buffer {
  const ports = [packet.sourcePort ?? 0, packet.destinationPort ?? 0].flatMap((port) => [port >> 8, port & 255]);
  switch (packet.protocol) {
    case "tcp": {
      const flags = packet.connection === "invalid" ? RST : packet.tcp === "opening" ? SYN : ACK;
      return Buffer.from([...ports, 0, 0, 0, 1, 0, 0, 0, flags === SYN ? 0 : 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    }
    case "udp":
      return Buffer.from([...ports, 0, 12, 0, 0, 1, 2, 3, 4]);
    case "icmp":
    case "icmpv6":
      return Buffer.concat([
        Buffer.from([packet.icmpType ?? 0, 0, 0, 0, 0, 1, 0, 1]),
        about ? packetOf(about) : Buffer.alloc(20),
      ]);
    case "ah":
      // The next header, and its own length.
      return Buffer.from([59, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, ...Array<number>(12).fill(0)]);
    default:
      return Buffer.from([0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  }
}

/** The payload with its checksum, where its protocol has one. */
function summed({ protocol }: Packet, payload: Buffer, pseudo: Buffer): Buffer {
  const at = protocol === "tcp" ? 16 : protocol === "udp" ? 6 : protocol === "icmp" || protocol === "icmpv6" ? 2 : undefined;
  if (at !== undefined) payload.writeUInt16BE(checksum(Buffer.concat([pseudo, payload])), at);
  return payload;
}

function checksum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2)
    total += bytes.readUInt8(at) * 256 + (at + 1 < bytes.length ? bytes.readUInt8(at + 1) : 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return ~total & 0xffff;
}

function bytesOf(address: Prefix | undefined): Buffer {
  if (address === undefined) throw new Error("a packet that is sent has two addresses");
  return Buffer.from(address.base.toString(16).padStart(address.bits / 4, "0"), "hex");
}
