import { renderLeaks } from "../../src/cli/leaks";

const input = { host: "deploy@192.0.2.7:22", resource: "DefaultDrop input", log: [] };

test("what a default drop has logged can be pasted into the program, line by line", () => {
  const counters = [
    { line: "inet 20 allow 001", packets: 0, bytes: 0 },
    { line: "inet 91 drop the rest", packets: 14, bytes: 840 },
  ];
  const wanted = [
    { times: 12, allow: { protocol: "tcp", ports: [443], from: ["198.51.100.7", "203.0.113.9"], in: "eth0" } as const },
    { times: 2, packets: "protocol 2 from 203.0.113.1 in eth0", why: "no entry can name it" },
  ];
  const text = renderLeaks({ leaks: [{ ...input, counters, wanted }], unreachable: [] });
  expect(text).toMatch(/│ DefaultDrop input │ inet 91 drop the rest │ 14 +│ 840 +│/);
  expect(text).not.toContain("allow 001");
  expect(text.split("\n").slice(-3)).toEqual([
    "DefaultDrop input on deploy@192.0.2.7:22: what it has logged, as entries of its `allow`",
    '  { protocol: "tcp", ports: [443], from: ["198.51.100.7", "203.0.113.9"], in: "eth0" }, // 12 times',
    "  // 2 times protocol 2 from 203.0.113.1 in eth0: no entry can name it",
  ]);
});

test("where it has logged nothing, or a kind has no such entries, nothing of that is said", () => {
  for (const own of [{ wanted: [] }, {}])
    expect(renderLeaks({ leaks: [{ ...input, counters: [], ...own }], unreachable: [] })).not.toContain("entries");
});
