import { describeCreate, describeUpdate, differences } from "../../src/core/files/drift";
import type * as Secrets from "../../src/providers/secrets";

/** What stands of `text` in a run whose only secret is `value`. */
function said(value: unknown, text: string): string {
  jest.resetModules();
  const { rememberSecrets, withoutSecrets } = jest.requireActual<typeof Secrets>("../../src/providers/secrets");
  rememberSecrets({ value, __secretArguments: [["value"]] });
  return withoutSecrets(text);
}

const { masked } = jest.requireActual<typeof Secrets>("../../src/providers/secrets");

const SCRIPT = `#!/bin/sh
if [ "$USER" = root ]
then
\techo 'pl4nted password'
fi
root
done
}
----------
`;

test.each([
  ["10.0.5.1/32", "ip daddr 10.0.5.1 accept", "ip daddr [secret] accept"],
  ["FD00:0:0:0::1", "no route to fd00::1", "no route to [secret]"],
  ["FD00:0::/8", "interval overlaps: fd00::/8", "interval overlaps: [secret]"],
  ["192.0.2.5/24", "192.0.2.5 is there already on eth1", "[secret] is there already on eth1"],
  ["10.0.5.1/32", "ip daddr 10.0.5.12 accept", "ip daddr 10.0.5.12 accept"],
])("a secret address is hidden in the form in which a host quotes it: %s", (secret, text, hidden) => {
  expect(said(secret, text)).toBe(hidden);
});

describe("the lines of a secret script", () => {
  test.each([
    "authentication failed for deploy; log in as root",
    "then it is done: { root }",
    "---------- {} ----------",
    "line 7: fi",
  ])("leave other people's words as they are: %s", (text) => {
    expect(said(SCRIPT, text)).toBe(text);
  });

  test("are hidden where one that says something is quoted, alone or with the others", () => {
    expect(said(SCRIPT, "line 4: echo 'pl4nted password': not found")).toBe("line 4: [secret]: not found");
    expect(said(SCRIPT, `it reads ${SCRIPT}`)).toBe("it reads [secret]\n");
    expect(said("a-1\nb-2\n", "found: a-1\nb-2, alone b-2")).toBe("found: [secret], alone b-2");
  });
});

test.each([
  ["root", "chroot of root, as 'root' or root-1", "chroot of [secret], as '[secret]' or [secret]-1"],
  ["hunter2\n", "(hunter2) xhunter2", "([secret]) xhunter2"],
  ["hunter2", String.raw`"first\nhunter2"`, String.raw`"first\n[secret]"`],
  [443, "443 1443 443/tcp", "[secret] 1443 [secret]/tcp"],
  ["letters4nddigits", "xletters4nddigitsx", "x[secret]x"],
  ["pl4nted,value", String.raw`xpl4nted\,value and pl4nted,valuex`, "x[secret] and [secret]x"],
  ["a:b", "a:b xa:b a:b2", "[secret] xa:b a:b2"],
  ["----", "---- stays", "---- stays"],
])("of %j, the text %j shows %j", (value, text, shown) => {
  expect(said(value, text)).toBe(shown);
});

describe("the ids of lines that hold a secret", () => {
  const wanted = {
    "inet 10 except to 10.0.5.1": "ip daddr 10.0.5.1 accept",
    "inet 20 deny to 2001:db8::/32": 'ip6 daddr 2001:db8::/32 counter name "c" drop',
    "netdev 10 except to 10.0.5.1": "ip daddr 10.0.5.1 accept",
    "50 allow 001 /opt/pl4nted": "myself ALL=(root) /opt/pl4nted",
    "inet set pl4nted": "type ipv4_addr",
  };
  const found = {
    "inet 20 deny to 2001:db8::/32": "ip6 daddr 2001:db8::1 drop",
    "netdev 10 except to 10.0.5.1": "ip daddr 10.0.5.1 accept",
    "50 allow 001 /opt/pl4nted": "myself ALL=(root) /opt/pl4nted",
    "inet set pl4nted": "type ipv4_addr",
    "inet damaged: chain pl4nted": "missing",
    "inet not ours, in our chain: #1": "ip daddr 10.0.5.2 accept",
    "file /opt/pl4nted: mode": "0666, not 0644",
  };

  test("are numbers, the same on both sides", () => {
    const [before, now] = masked(wanted, found);
    expect(before).toEqual({
      "inet 10 #1": "[secret]",
      "inet 20 #2": "[secret]",
      "netdev 10 #3": "[secret]",
      "50 #4": "[secret]",
      "inet #5": "[secret]",
    });
    expect(now).toEqual({
      "inet 20 #2": "another [secret]",
      "netdev 10 #3": "[secret]",
      "50 #4": "[secret]",
      "inet #5": "[secret]",
      "inet damaged: #6": "missing",
      "inet not ours, in our chain: #7": "another [secret]",
      "file #8": "another [secret]",
    });
  });

  test("are in no text that is made of them, and count as the true ones do", () => {
    const [before, now] = masked(wanted, found);
    const [shown, clear] = [differences(before, now, true), differences(wanted, found, true)];
    const texts = [...shown.lines, describeCreate(before), describeUpdate(now, before, true)].join("\n");
    expect(texts).not.toMatch(/10\.0\.5|2001|pl4nted/);
    expect(texts).toContain("- inet 10 #1: [secret]");
    // The control, which also says that no two ids have become one.
    expect(clear.lines.join("\n")).toContain("- inet 10 except to 10.0.5.1: ");
    expect({ ...shown, lines: shown.lines.length }).toEqual({ ...clear, lines: clear.lines.length });
  });

  test("still tell a table of which nothing is loaded", () => {
    const gone = { "inet damaged: chain prerouting": "missing" };
    const one = { "inet 10 except to 10.0.5.1": "ip daddr 10.0.5.1 accept" };
    expect(differences(...masked(one, gone), true).lines).toEqual(differences(one, gone, true).lines);
  });
});
