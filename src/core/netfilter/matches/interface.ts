import type { Packet } from "../packet";
import { type Answer, isOneOf } from "./answer";
import type { Direction, MatchSpec } from "./spec";

/** By the device that a packet came in by, or goes out by. */
export interface InterfaceMatch {
  readonly is: "interface";
  readonly direction: Direction;
  readonly name: string;
}

export const byInterface: MatchSpec<InterfaceMatch> = {
  text: ({ direction, name }) => `${direction === "out" ? "oifname" : "iifname"} "${name}"`,
  words: ({ direction, name }) => (direction === "out" ? `what goes out by ${name}` : `what came in by ${name}`),
  key: ({ direction, name }) => ({
    name: direction,
    type: "ifname",
    bytes: 16,
    expression: direction === "out" ? "oifname" : "iifname",
    value: `"${name}"`,
  }),
  holds: ({ direction, name }, packet) => usesDevice(packet, direction, name),
};

/** What the host sends has come in by no device, and what is for the host, or not routed yet, goes out by none. */
export function usesDevice(packet: Packet, direction: Direction, name: string): Answer {
  const none = direction === "in" ? packet.hook === "output" : packet.hook === "input" || packet.hook === "prerouting";
  return none ? false : isOneOf(packet[direction], name);
}
