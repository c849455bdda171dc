import { kinds } from "../../src/providers/registry";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, check, Driven, type Props } from "../lab/drive";
import { titled } from "./samples";

/** What a shell, nft, sudoers, a path or a terminal would make something else of. */
const HOSTILE = [
  "$(touch /tmp/pwned)",
  "`touch /tmp/pwned`",
  "x; touch /tmp/pwned #",
  "x' ; touch /tmp/pwned ; '",
  'x" ; add table inet pwned ; "',
  "x && touch /tmp/pwned",
  "x | tee /tmp/pwned",
  "x > /tmp/pwned",
  "${IFS}touch${IFS}/tmp/pwned",
  "} ; table inet pwned { }",
  'x" drop comment "y',
  "x\n\tadd table inet pwned\n",
  "# attach postrouting eth0 pwned",
  "x\n# attach postrouting eth0 pwned",
  "x\nmybro ALL=(ALL) NOPASSWD: ALL",
  "x\r\nmybro ALL=(ALL) NOPASSWD: ALL",
  "myself, mybro",
  "ALL",
  "%spicegrp",
  "#0",
  "x, /bin/sh",
  "!/bin/sh",
  "x \\\n mybro ALL=(ALL) NOPASSWD: ALL",
  "\\",
  "^.*$",
  "*",
  "?",
  "-rf",
  "--help",
  "%s%n",
  "../../etc/passwd",
  "/etc/../bin/sh",
  "/usr/bin/",
  "",
  " ",
  "\t",
  "\u0000",
  "\u001b[2J",
  "e\u0301th0",
  "\u202eeth0",
  "\u200b",
  "日本語",
  "🔥",
  "x".repeat(10_000),
];

/** Every place in `value` that holds a string: its path, and `value` with another string there. */
function stringPlaces(value: unknown, path = ""): { path: string; put: (text: string) => unknown }[] {
  if (typeof value === "string") return [{ path, put: (text) => text }];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) =>
      stringPlaces(item, `${path}[${index}]`).map((place) => ({
        path: place.path,
        put: (text: string) => value.with(index, place.put(text)) as unknown,
      })),
    );
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    stringPlaces(item, path === "" ? key : `${path}.${key}`).map((place) => ({
      path: place.path,
      put: (text: string) => ({ ...value, [key]: place.put(text) }),
    })),
  );
}

/**
 * Verbatim, or with the escapes of sudoers, which a test of its own proves by running sudo, or line by line behind the mark of a content,
 * which another one proves byte by byte.
 */
const standsIn = (text: string, files: readonly { text: string }[]) =>
  files
    .map((file) => file.text)
    .join("")
    .replace(/^\|/gm, "")
    .replaceAll("\\", "")
    .includes(text.replaceAll("\\", ""));

/** How many of them are on the host together, where it can have as many. */
const AT_ONCE = 6;

describe.each(titled)("hostile strings in $title", ({ kind, title, args, prepare, apart, most = AT_ONCE }) => {
  const inTurns = <T>(all: readonly T[]): readonly (readonly T[])[] =>
    all.flatMap((_, index) => (index % most === 0 ? [all.slice(index, index + most)] : []));
  let host: LabHost;
  let before: string;

  beforeAll(async () => {
    host = await startHost();
    await host.run(prepare ?? "true");
    before = await host.fingerprint();
  });
  afterAll(() => host.down());

  async function nothingElseRan(): Promise<void> {
    const { stdout } = await host.run("ls /tmp; nft list tables; sudo -l -U mybro");
    expect(stdout).not.toContain("pwned");
    expect(stdout).toContain("User mybro is not allowed to run sudo");
  }

  const places = stringPlaces(args);
  test("the sample has strings to try", () => expect(places.length).toBeGreaterThan(1));

  test.each(places.map((place) => [place.path, place] as const))(
    "in %s they are refused by name or stand verbatim",
    async (path, place) => {
      const accepted: { text: string; own: Props }[] = [];
      for (const [number, text] of HOSTILE.entries()) {
        const own = place.put(text) as Props;
        const { inputs, failures } = await check(kind, `hostile ${path} ${number}`, { ...accessOf(host), ...own });
        if (failures.length > 0) {
          // The path of a union's member or of a list ends where zod could decide.
          for (const { property } of failures) expect(path.startsWith(property) || property.startsWith(path)).toBe(true);
          expect(failures.map(({ reason }) => reason).join()).not.toBe("");
          continue;
        }
        const spec = kinds.get(kind);
        const intent = spec?.schema.parse(Object.fromEntries(Object.keys(spec.schema.shape).map((key) => [key, inputs[key]])));
        expect(standsIn(text, spec?.files({ object: "o", owner: "o", from: "f" }, intent ?? {}, "ifupdown") ?? [])).toBe(true);
        accepted.push({ text, own });
      }
      for (const turn of inTurns(accepted)) {
        const made = await Promise.all(
          turn.map(async ({ text, own }, index) => {
            const [hostileKey = ""] = path.split(/[.[]/);
            // Apart from the others in all but the property that is tried.
            const all = { ...accessOf(host), ...own, ...apart?.(index), [hostileKey]: own[hostileKey] };
            const resource = await Driven.create(kind, `hostile ${path} ${index}`, all).catch((error: unknown) => error);
            if (resource instanceof Driven) return resource;
            // Only the host knows that there is no such thing.
            expect(resource).toMatchObject({
              failure: { code: "refused", reason: expect.stringMatching(new RegExp(`^${path}: .*${text}`)) as unknown },
            });
            return undefined;
          }),
        );
        await nothingElseRan();
        const standing = made.filter((resource) => resource !== undefined);
        expect(await Promise.all(standing.map((resource) => resource.refresh()))).toEqual(standing.map(() => ({})));
        await Promise.all(standing.map((resource) => resource.delete()));
      }
      expect(await host.fingerprint()).toBe(before);
    },
  );

  test("as names of resource, project and stack they become harmless names of files and chains", async () => {
    // Each sample has its share of them.
    const sample = titled.findIndex((each) => each.title === title);
    const names = HOSTILE.filter((_, index) => index % 8 === sample % 8);
    expect(names.length).toBeGreaterThan(0);
    for (const turn of inTurns(names)) {
      const made = await Promise.all(
        turn.map((text, index) =>
          Driven.create(kind, text, { ...accessOf(host), ...args, ...apart?.(index) }, { project: text, stack: text }),
        ),
      );
      for (const { outputs } of made) {
        const { files } = outputs["applied"] as { files: Record<string, string> };
        for (const path of Object.keys(files))
          expect(path).toMatch(
            /^\/etc\/(drawbridge\/(nft\/[a-z]+-drawbridge|links|groups|files)\/\d\d-|(sudoers|network\/interfaces)\.d\/drawbridge-)[A-Za-z0-9_-]{1,64}(\.nft)?$/,
          );
      }
      await nothingElseRan();
      await Promise.all(made.map((resource) => resource.delete()));
    }
    expect(await host.fingerprint()).toBe(before);
  });

  test("in every string that leads to the host they are refused, or reach no command line", async () => {
    const access = {
      ...accessOf(host),
      privateKeyEnv: "KEY",
      passwordEnv: "PASSWORD",
      machine: "vm-1",
      hostKeyPolicy: "accept-new",
    };
    for (const { path, put } of stringPlaces(access)) {
      for (const text of HOSTILE) {
        const { failures } = await check(kind, "hostile access", { ...(put(text) as Props), ...args });
        for (const { property } of failures) expect(path).toBe(property);
      }
    }
    await nothingElseRan();
  });
});
