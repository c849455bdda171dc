import type { Packet } from "../packet";
import { all, type Answer, isOneOf } from "./answer";
import { hasTransportHeader } from "./later-fragment";
import type { MatchSpec } from "./spec";

/** The first packet of a TCP connection, any other one, or one that carries data. */
export interface TcpMatch {
  readonly is: "tcp";
  readonly part: "opening" | "later" | "data";
}

// A packet without data has no first byte behind its TCP header, so that the last one holds for no such packet.
const TEXT = {
  opening: "tcp flags & (syn | ack) == syn",
  later: "tcp flags & (syn | ack) != syn",
  data: "@ih,0,8 >= 0",
} as const;
const WORDS = { opening: "what opens a connection", later: "what does not open a connection", data: "with data" } as const;

export const tcp: MatchSpec<TcpMatch> = {
  text: ({ part }) => TEXT[part],
  words: ({ part }) => WORDS[part],
  holds: ({ part }, packet) =>
    all(
      hasTransportHeader(packet),
      part === "data" ? hasData(packet) : all(isOneOf(packet.protocol, "tcp"), isOneOf(packet.tcp, part)),
    ),
};

/** nft finds what stands behind the header of these two; its words do not ask for TCP. */
const hasData = ({ protocol, hasData: said }: Packet): Answer => all(isOneOf(protocol, "tcp", "udp"), said);
