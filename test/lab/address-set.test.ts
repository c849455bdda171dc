import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, check, closeConnections, Driven, type Props } from "./drive";

const [BLOCKED, LATER, FREE] = ["203.0.113.2", "203.0.113.3", "203.0.113.4"] as const;
/** More than one file of the host takes. */
const MANY = Array.from({ length: 5000 }, (_, index) => `11.0.${index >> 8}.${index & 255}`);

let host: LabHost;
let before: string;
const folder = mkdtempSync(join(tmpdir(), "drawbridge-set-"));
const file = join(folder, "blocked.txt");

beforeAll(async () => {
  host = await startHost();
  await host.outside([BLOCKED, LATER, FREE].map((address) => `ip address replace ${address}/32 dev labsw`).join("; "));
  before = await host.fingerprint();
});
afterAll(async () => {
  const after = await host.fingerprint();
  closeConnections();
  await host.down();
  rmSync(folder, { recursive: true });
  expect(after).toBe(before);
});

const make = (kind: string, name: string, args: Props) => Driven.create(kind, name, { ...accessOf(host), ...args });
const up = (set: Driven) => set.up({ ...accessOf(host), name: "blocked", file });
const passes = async (from: string) =>
  (await host.outside(`ping -c 1 -W 2 -I ${from} ${host.address}`, { allowFailure: true })).code === 0;
const written = async () =>
  (await host.run("cd /etc/drawbridge/nft/inet-drawbridge; stat -c '%n %i' *address-set-blocked*")).stdout
    .trim()
    .split("\n")
    .sort();
const deltas = async () => Number((await host.run("cat /run/drawbridge/proven/deltas.inet 2>/dev/null || echo 0")).stdout);

describe("a set from a file beside the program", () => {
  let set: Driven;
  let deny: Driven;

  beforeAll(async () => {
    writeFileSync(file, `# from the abuse desk\n${BLOCKED} # since May\n\n198.51.100.0/24\n${MANY.join("\n")}\n`);
    set = await make("AddressSet", "blocked", { name: "blocked", file });
    deny = await make("Deny", "blocked", { hook: "input", from: { set: "blocked" } });
  });
  afterAll(async () => {
    await deny.delete();
    await set.delete();
  });

  test("holds what the file says, and the state says how much that is", async () => {
    expect([await passes(BLOCKED), await passes(LATER), await passes(FREE)]).toEqual([false, true, true]);
    expect(set.outputs["file"]).toEqual({
      path: file,
      addresses: 5001,
      prefixes: 1,
      digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(JSON.stringify(set.outputs).length).toBeLessThan(4000);
    expect(await set.refresh()).toEqual({});
    expect(await up(set)).toBe(false);
  });

  test("one more address sends one of the files of its elements, and is a delta", async () => {
    const [files, count] = [await written(), await deltas()];
    appendFileSync(file, `${LATER}\n`);
    expect(await up(set)).toBe(true);
    const changed = (await written()).filter((line) => !files.includes(line));
    expect(files.length).toBe(5);
    // That one, and the one that says which sets there are.
    expect(changed.length).toBe(2);
    expect(await deltas()).toBe(count + 1);
    expect([await passes(LATER), await passes(FREE)]).toEqual([false, true]);
    expect(await set.refresh()).toEqual({});
  });

  test("a change beside what others commit compares the set by its elements, and does not load it whole", async () => {
    const count = await deltas();
    await host.run("nft add table ip others; nft delete table ip others");
    writeFileSync(file, `${BLOCKED}\n198.51.100.0/24\n${MANY.join("\n")}\n`);
    expect(await up(set)).toBe(true);
    // What was listed is the new measure; this change is the first delta beside it.
    expect([count > 1, await deltas()]).toEqual([true, 1]);
    expect([await passes(BLOCKED), await passes(LATER)]).toEqual([false, true]);
    expect(await set.refresh()).toEqual({});
  });

  test.each([
    ["the kernel", "nft delete element inet drawbridge set.blocked.ipv4.addresses '{ 203.0.113.2 }'", "203.0.113.2"],
    ["a file", "sed -i '/ 203.0.113.2$/d' /etc/drawbridge/nft/inet-drawbridge/50-address-set-blocked-*", "203.0.113.2"],
  ])(
    "an address that somebody takes out of %s is named, also where the list is not there, and comes back",
    async (_where, tamper, named) => {
      await host.run(tamper);
      // A look is asked of the host once in a while only.
      closeConnections();
      renameSync(file, `${file}.away`);
      expect(JSON.stringify(await set.refresh())).toContain(named);
      renameSync(`${file}.away`, file);
      expect(JSON.stringify(await set.refresh())).toContain(named);
      expect(await up(set)).toBe(true);
      expect([await set.refresh(), await passes(BLOCKED), await passes(FREE)]).toEqual([{}, false, true]);
    },
  );

  test("a file of its elements that is lost is sent again by the next change", async () => {
    const lost = (await written()).map((line) => line.split(" ")[0] ?? "").find((name) => name.endsWith(".002.nft")) ?? "";
    await host.run(
      `rm /etc/drawbridge/nft/inet-drawbridge/${lost} /var/lib/drawbridge/confirmed/etc/drawbridge/nft/inet-drawbridge/${lost}`,
    );
    appendFileSync(file, `${LATER}\n`);
    expect(await up(set)).toBe(true);
    expect((await written()).length).toBe(5);
    expect([await set.refresh(), await passes(LATER), await passes(BLOCKED)]).toEqual([{}, false, false]);
  });

  test("fewer addresses need fewer files", async () => {
    writeFileSync(file, `${BLOCKED}\n`);
    await up(set);
    expect((await written()).length).toBe(1);
    expect([await set.refresh(), await passes(LATER), await passes(BLOCKED)]).toEqual([{}, true, false]);
  });
});

test.each([
  [
    "a line that is no address",
    "192.0.2.1\n192.0.2.300\n",
    {},
    /blocked\.txt, line 2: "192\.0\.2\.300" is neither an IPv4 nor an IPv6 prefix/,
  ],
  ["host bits", "192.0.2.1/24\n", {}, /line 1: .* did you mean "192\.0\.2\.0\/24"/],
  ["addresses beside it", "192.0.2.1\n", { addresses: ["192.0.2.2"] }, /cannot be beside `addresses`/],
  [
    "too many prefixes",
    Array.from({ length: 10_001 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`).join("\n"),
    {},
    /at most 10000/,
  ],
])("%s is refused by check", async (_what, text, more, reason) => {
  writeFileSync(file, text);
  const { failures } = await check("AddressSet", "refused", { ...accessOf(host), name: "blocked", file, ...more });
  expect(failures).toEqual([{ property: "file", reason: expect.stringMatching(reason) as string }]);
});

test("a file that is not there is refused by check", async () => {
  const { failures } = await check("AddressSet", "refused", { ...accessOf(host), name: "blocked", file: "nowhere.txt" });
  expect(failures).toEqual([
    {
      property: "file",
      reason: expect.stringMatching(/cannot be read from the folder of Pulumi\.yaml: .*nowhere\.txt/) as string,
    },
  ]);
});

test("exceptions of a fence: by the set that is declared, and nothing as long as none is", async () => {
  const reaches = async (address: string) => (await host.run(`ping -c 1 -W 2 ${address}`, { allowFailure: true })).code === 0;
  const fence = await make("LeakFence", "leaks", {
    uplink: "eth0",
    networks: ["203.0.113.0/24"],
    exceptions: [{ set: "office", direction: "to" }],
  });
  expect((await host.run("drawbridge-host status")).stdout).toContain("waits for the set set.office.ipv4.addresses");
  expect([await reaches(BLOCKED), await reaches(FREE)]).toEqual([false, false]);
  const office = await make("AddressSet", "office", { name: "office", addresses: [BLOCKED], fences: true });
  expect([await reaches(BLOCKED), await reaches(FREE)]).toEqual([true, false]);
  await office.up({ ...accessOf(host), name: "office", addresses: [`${FREE}/32`], fences: true });
  expect([await reaches(BLOCKED), await reaches(FREE)]).toEqual([false, true]);
  expect([await office.refresh(), await fence.refresh()]).toEqual([{}, {}]);
  await expect(office.up({ ...accessOf(host), name: "office", addresses: [FREE] })).rejects.toThrow(
    /the set set\.office\.\S+ is still named by rules of leak-fence-leaks/,
  );
  await fence.delete();
  await office.delete();
});
