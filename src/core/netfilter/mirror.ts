import type { Match } from "./matches";

/**
 * What an entry asks of a packet, asked of an answer to it, which goes the other way. On `forward` both ways have been translated by the same NAT. Nothing where an answer
 * has nothing like it: the neighbour who has handed a packet over hands over no answer to it.
 */
export function mirrored(match: Match): Match[] {
  switch (match.is) {
    case "source":
      return [{ ...match, is: "destination" }];
    case "destination":
      return [{ ...match, is: "source" }];
    case "in-set":
      return [{ ...match, side: match.side === "source" ? "destination" : "source" }];
    case "source-ports":
      return [{ ...match, is: "destination-ports" }];
    case "destination-ports":
      return [{ ...match, is: "source-ports" }];
    case "interface":
      return [{ ...match, direction: match.direction === "in" ? "out" : "in" }];
    case "icmp":
      // An answer is of another type.
      return [{ is: "protocol", protocol: match.version === 4 ? "icmp" : "icmpv6" }];
    case "mac":
      return [];
    default:
      return [match];
  }
}
