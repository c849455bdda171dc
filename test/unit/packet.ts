import type { Packet } from "../../src/core/netfilter/packet";
import { parsePrefix, type Prefix } from "../../src/core/values/prefix";

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

/** A packet in words: "input ip6 tcp from=2001:db8::2 dport=22 new opening". What is not said is not known. */
export function packet(text: string): Packet {
  const [hook, version, ...words] = text.split(" ");
  const said = words.map((word) => {
    const [name = "", value] = word.split("=");
    const part = value === undefined ? WORDS[name] : VALUES[name]?.(value);
    if (part === undefined) throw new Error(`no packet is said to be ${word}`);
    return part;
  });
  return Object.assign({ hook, version: version === "ip6" ? 6 : 4 }, ...said) as Packet;
}

const WORDS: Partial<Record<string, Partial<Packet>>> = {
  ...Object.fromEntries(["tcp", "udp", "icmp", "icmpv6", "esp", "ah", "other"].map((protocol) => [protocol, { protocol }])),
  ...Object.fromEntries(
    ["new", "established", "related", "invalid", "untracked"].map((connection) => [connection, { connection }]),
  ),
  answer: { isAnswer: true },
  question: { isAnswer: false },
  opening: { tcp: "opening" },
  later: { tcp: "later" },
  data: { hasData: true },
  empty: { hasData: false },
  "to-us": { toThisHost: true },
  "to-others": { toThisHost: false },
  "from-us": { fromThisHost: true },
  "from-others": { fromThisHost: false },
  unowned: { uid: "nobody" },
  wrapped: { wrapped: true },
  bare: { wrapped: false },
  fragment: { laterFragment: true },
  whole: { laterFragment: false },
  begun: { remembered: { begun: true, refused: false } },
  refused: { remembered: { begun: false, refused: true } },
  ending: { remembered: { ending: true } },
  lasting: { remembered: { ending: false } },
};

const VALUES: Partial<Record<string, (value: string) => Partial<Packet>>> = {
  from: (value) => ({ source: prefix(value) }),
  to: (value) => ({ destination: prefix(value) }),
  mac: (value) => ({ mac: value }),
  sport: (value) => ({ sourcePort: Number(value) }),
  dport: (value) => ({ destinationPort: Number(value) }),
  type: (value) => ({ icmpType: Number(value) }),
  hops: (value) => ({ hopLimit: Number(value) }),
  in: (value) => ({ in: value }),
  out: (value) => ({ out: value }),
  uid: (value) => ({ uid: Number(value) }),
  time: (value) => ({ time: new Date(value) }),
};
