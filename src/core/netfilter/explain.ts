import { formatPrefix } from "../values/prefix";
import { formatPorts } from "../values/ports";
import { WEEKDAYS, type UtcSpan } from "../values/weekly-window";
import type { Fragment, Match, Rule } from "./model";
import { FAMILY, ruleKey } from "./nft";

/** Rule id, as in `rules`, to what the rule is for, in words. */
export function explainFragments(fragments: readonly Fragment[]): Record<string, string> {
  return Object.fromEntries(
    fragments.flatMap(({ layer, chains }) =>
      chains.flatMap(({ rules }) => rules.map((rule) => [ruleKey(FAMILY[layer], rule.id), explainRule(rule)] as const)),
    ),
  );
}

/** "family counter" to the id of the rule that counts; several rules may share one counter, then the first one. */
export function countersOf(fragments: readonly Fragment[]): Record<string, string> {
  const pairs = fragments.flatMap(({ layer, chains }) =>
    chains.flatMap(({ rules }) =>
      rules.flatMap(({ id, counter }) =>
        counter === undefined ? [] : [[`${FAMILY[layer]} ${counter}`, ruleKey(FAMILY[layer], id)] as const],
      ),
    ),
  );
  return Object.fromEntries(pairs.toReversed());
}

function explainRule({ matches, counter, verdict }: Rule): string {
  const what = matches.length === 0 ? "whatever comes here" : matches.map(explainMatch).join(", ");
  const counted = counter === undefined ? "" : "is counted and ";
  switch (verdict.is) {
    case "return":
      return `${what} passes this resource`;
    case "accept":
      return `${what} is allowed`;
    case "drop":
      return `${what} is dropped`;
    case "log":
      return `${what} is written to the kernel's log, with the uid (UID=) of who on this host sent it, ten lines a minute at most`;
    case "remember":
      return `${what} ${{ begun: "is remembered: this connection was seen to begin", refused: "is remembered: of this connection something was refused" }[verdict.label]}`;
    case "ask":
      return `${what} is asked about: what a UserOutputChain allows its ${verdict.map === "users" ? "user" : "group"} passes`;
    case "goto":
      return `${what} ${counted}goes on in ${verdict.chain.endsWith(".leak") ? "the chain for leaks" : "the next chain"}`;
  }
}

function explainMatch(match: Match): string {
  switch (match.is) {
    case "destination":
    case "source": {
      const side = match.is === "destination" ? "to" : "from";
      return `${match.tagged ? "behind a VLAN tag, " : ""}what goes ${side} ${match.prefixes.map(formatPrefix).join(", ")}`.replace(
        "goes from",
        "comes from",
      );
    }
    case "wrapped":
      return `what IPsec ${match.direction === "out" ? "will wrap (it leaves with other addresses and is judged again)" : "has brought"}`;
    case "ipsec-protocol":
      return `what carries a tunnel (${match.protocol.toUpperCase()})`;
    case "key-exchange":
      return `${match.direction === "out" ? "from" : "to"} the port of IPsec's key exchange, UDP ${match.port}`;
    case "esp-in-udp":
      return "ESP that UDP carries through NAT";
    case "loopback":
      return "what stays on the host";
    case "icmpv6":
      return `${explainTypes(match.types)}, without which the link does not work`;
    case "dhcp-request":
    case "dhcp-reply":
      return `DHCP${match.version === 6 ? "v6" : ""} ${match.is === "dhcp-request" ? "requests" : "replies"}, without which leases end`;
    case "to-this-host":
      return "what goes to an address of this host";
    case "from-this-host":
      return "what comes from an address of this host";
    case "destination-ports":
      return `to ${match.protocol} port ${formatPorts(match.ports)}`;
    case "source-ports":
      return `from ${match.protocol} port ${formatPorts(match.ports)}`;
    case "remembered":
      return { begun: "of a connection that was seen to begin", refused: "of a connection of which something was refused" }[
        match.label
      ];
    case "tcp":
      return { opening: "what opens a connection", later: "what does not open a connection", data: "with data" }[match.part];
    case "connection":
      return {
        new: "what opens a connection",
        unknown: "what opens a connection, or belongs to none that is followed",
        open: "what belongs to an open connection",
        answer: "answers to connections from outside",
      }[match.state];
    case "owned":
      return match.uid === undefined
        ? "what somebody on this host sends"
        : match.uid === 0
          ? "what root sends"
          : `what uid ${match.uid} sends`;
    case "time":
      return explainSpan(match.span);
  }
}

function explainTypes([first, last]: readonly [number, number]): string {
  return `ICMPv6 of ${first === last ? `type ${first}` : `types ${first} to ${last}`}`;
}

function explainSpan({ days, minutes, dates }: UtcSpan): string {
  const clock = (minute: number) => `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
  const [first, last] = dates ?? [];
  return [
    ...(days === undefined ? [] : [[...new Set(days)].map((day) => WEEKDAYS[day]).join(" to ")]),
    ...(minutes === undefined ? [] : [`${clock(minutes[0])} to ${clock(minutes[1])}`]),
    ...(first === undefined ? [] : [`from ${first}`]),
    ...(last === undefined ? [] : [`until ${last}`]),
    "UTC",
  ].join(" ");
}
