import type { Packet } from "../packet";
import { type Answer, isOneOf } from "./answer";
import type { MatchSpec } from "./spec";

/** By what conntrack knows of the packet's connection; `unknown`: new, or one that conntrack does not follow. */
export interface ConnectionMatch {
  readonly is: "connection";
  readonly state: "new" | "unknown" | "established" | "related" | "open" | "answer" | "question";
}

const TEXT = {
  new: "ct state new",
  unknown: "ct state invalid,new,untracked",
  established: "ct state established",
  related: "ct state related",
  open: "ct state established,related",
  answer: "ct direction reply",
  question: "ct direction original",
} as const;

const WORDS = {
  new: "what opens a connection",
  unknown: "what opens a connection, or belongs to none that is followed",
  established: "what belongs to an open connection",
  related: "what tells of an open connection, or was announced by one",
  open: "what belongs to an open connection, or to what it has announced",
  answer: "answers to who has opened the connection",
  question: "what comes from who has opened the connection",
} as const;

export const connection: MatchSpec<ConnectionMatch> = {
  text: ({ state }) => TEXT[state],
  words: ({ state }) => WORDS[state],
  holds: ({ state }, packet) => {
    if (state !== "answer" && state !== "question") return isOneOf(packet.connection, ...STATES[state]);
    return hasDirection(packet) && isOneOf(isAnswer(packet), state === "answer");
  },
};

const STATES = {
  new: ["new"],
  unknown: ["invalid", "new", "untracked"],
  established: ["established"],
  related: ["related"],
  open: ["established", "related"],
} as const;

/** Where conntrack follows nothing, there is no direction. */
const hasDirection = ({ connection: state }: Packet): boolean => state !== "invalid" && state !== "untracked";

/** What opens a connection answers nothing. */
const isAnswer = ({ connection: state, isAnswer: said }: Packet): Answer => (state === "new" ? false : said);
