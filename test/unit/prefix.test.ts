import { aggregate, parsePrefix, type Prefix } from "../../src/core/values/prefix";

const prefixes = (...texts: string[]): Prefix[] =>
  texts.map((text) => {
    const parsed = parsePrefix(text);
    if (typeof parsed === "string") throw new Error(parsed);
    return parsed;
  });

describe("a prefix", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3"],
    ["10.1.2.3/32", "10.1.2.3"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["FD00:0:0::/8", "fd00::/8"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["::ffff:10.0.0.1", "::ffff:a00:1"],
    ["::/0", "::/0"],
  ])("%s is printed as %s", (text, printed) => expect(prefixes(text).map(({ text }) => text)).toEqual([printed]));

  test.each([
    ["10.0.0.1/8", 'did you mean "10.0.0.0/8"?'],
    ["fd00::1/8", 'did you mean "fd00::/8"?'],
    ["10.0.0.0/33", "from 0 to 32"],
    ["10.0.0.0/08", "from 0 to 32"],
    ["::/129", "from 0 to 128"],
    ["10.0.0/8", "neither an IPv4 nor an IPv6 prefix"],
    ["10.0.0.0/8/8", "neither an IPv4 nor an IPv6 prefix"],
    ["fe80::1%eth0", "neither an IPv4 nor an IPv6 prefix"],
    ["010.0.0.0/8", "neither an IPv4 nor an IPv6 prefix"],
    ["", "neither an IPv4 nor an IPv6 prefix"],
  ])("%s is refused", (text, reason) => expect(parsePrefix(text)).toEqual(expect.stringContaining(reason)));

  test.each([
    { story: "neighbours join", from: ["192.168.0.0/17", "192.168.128.0/17"], to: ["192.168.0.0/16"] },
    { story: "what lies in another vanishes", from: ["10.0.0.0/8", "10.1.0.0/16", "10.0.0.1"], to: ["10.0.0.0/8"] },
    { story: "joining goes on", from: ["10.0.0.0/10", "10.64.0.0/10", "10.128.0.0/9"], to: ["10.0.0.0/8"] },
    {
      story: "neighbours of different parents stay",
      from: ["10.64.0.0/10", "10.128.0.0/10"],
      to: ["10.64.0.0/10", "10.128.0.0/10"],
    },
    { story: "both versions, sorted", from: ["fd00::/8", "10.0.0.0/8", "fc00::/8"], to: ["10.0.0.0/8", "fc00::/7"] },
    { story: "the two halves of everything", from: ["0.0.0.0/1", "128.0.0.0/1"], to: ["0.0.0.0/0"] },
  ])("$story", ({ from, to }) => expect(aggregate(prefixes(...from)).map(({ text }) => text)).toEqual(to));
});
