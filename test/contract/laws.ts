import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, check, Driven } from "../lab/drive";
import { foreignTable, type Sample } from "./samples";

/** The name of a resource in its files. */
export const objectOf = ({ outputs }: Pick<Driven, "outputs">): string => {
  const files = Object.keys((outputs["applied"] as { files: Record<string, string> }).files);
  return files.map((path) => /(?:\d\d-|drawbridge-)([^/]*?)(?:\.nft)?$/.exec(path)?.[1] ?? "").at(0) ?? "";
};

/** What must be true of every kind, as tests of these samples; what is true of tampering, test/e2e/tampering.test.ts asks the CLI. */
export function lawsHold(of: readonly (Sample & { readonly title: string })[]): void {
  describe.each(of)("every law holds for $title", (sample: Sample) => {
    const { kind } = sample;
    let host: LabHost;
    let before: string;
    const args = (n = 0) => ({ ...accessOf(host), ...sample.args, ...sample.apart?.(n), confirmDeadlineSeconds: 30 });

    beforeAll(async () => {
      host = await startHost();
      await host.run(foreignTable);
      await host.run(sample.prepare ?? "true");
      await host.run(
        "echo 'mybro ALL=(root) NOPASSWD: /usr/bin/true' >/etc/sudoers.d/foreign && chmod 440 /etc/sudoers.d/foreign",
      );
      before = await host.fingerprint();
    });
    afterAll(() => host.down());

    test("check is a fixed point", async () => {
      const first = await check(kind, "fixed", args());
      const { __origin, rules, ...again } = first.inputs;
      expect(__origin).toBeDefined();
      expect(rules).toBeDefined();
      expect(await check(kind, "fixed", again)).toEqual(first);
    });

    test("what stands is not drift, doing it again changes nothing, and delete leaves the host byte for byte as it was", async () => {
      const resource = await Driven.create(kind, "whole", args());
      expect(await resource.refresh()).toEqual({});
      const standing = await host.fingerprint();
      expect(standing).not.toBe(before);
      expect(await resource.up(args())).toBe(false);
      // An update that the engine orders all the same, for a changed credential or by --replace.
      expect(await resource.up({ ...args(), confirmDeadlineSeconds: 80 })).toBe(true);
      expect(await host.fingerprint()).toBe(standing);
      await resource.delete();
      expect(await host.fingerprint()).toBe(before);
      expect(await resource.refresh()).toBe("gone");
      await resource.delete();
      expect(await host.fingerprint()).toBe(before);
    });

    // One resource goes through all of them, and back after each.
    test("a change of each property alone is seen and made in place", async () => {
      const resource = await Driven.create(kind, "edited", args());
      for (const [key, value] of Object.entries(sample.edits)) {
        const edited = { ...args(), [key]: value };
        const { inputs } = await check(kind, "edited", edited);
        const seen = await resource.diff(inputs);
        expect({ key, ...seen }).not.toMatchObject({ changes: false });
        expect({ key, replaces: seen.replaces ?? [] }).toEqual({ key, replaces: [] });
        await resource.up(edited);
        expect({ key, drift: await resource.refresh() }).toEqual({ key, drift: {} });
        await resource.up(args());
      }
      await resource.delete();
      expect(await host.fingerprint()).toBe(before);
    });

    test.each(sample.files)("what is there and not ours is refused by name: %s", async (file) => {
      const resource = await Driven.create(kind, "foreign", args());
      const path = file.replaceAll("OBJECT", objectOf(resource));
      await resource.delete();
      await host.run(`mkdir -p "$(dirname '${path}')" && echo '# mine' >'${path}' && chmod 440 '${path}'`);
      const standing = await host.fingerprint();
      await expect(Driven.create(kind, "foreign", args())).rejects.toMatchObject({
        failure: { code: "not-owned", reason: expect.stringContaining(path) as unknown },
      });
      expect(await host.fingerprint()).toBe(standing);
      await host.run(
        `rm '${path}'; case '${path}' in /etc/drawbridge/*) rmdir -p "$(dirname '${path}')" 2>/dev/null ;; esac; true`,
      );
      expect(await host.fingerprint()).toBe(before);
    });

    test("of many one fails alone", async () => {
      const names = ["one", "two", "three", "four", "five"].slice(0, (sample.most ?? 6) - 1);
      const early = Math.ceil(names.length / 2);
      const good = names.slice(0, early).map((name, index) => Driven.create(kind, name, args(index + 1)));
      const resource = await Driven.create(kind, "wrong", args());
      const path = (sample.files[0] ?? "").replaceAll("OBJECT", objectOf(resource));
      await resource.delete();
      await host.run(`mkdir -p "$(dirname '${path}')" && echo '# mine' >'${path}'`);
      const all = await Promise.allSettled([
        ...names.slice(early).map((name, index) => Driven.create(kind, name, args(index + early + 1))),
        Driven.create(kind, "wrong", args()),
      ]);
      expect(all.map(({ status }) => status)).toEqual([...names.slice(early).map(() => "fulfilled"), "rejected"]);
      await host.run(`rm '${path}'`);
      const made = [
        ...(await Promise.all(good)),
        ...all.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
      ];
      await Promise.all(made.map((each) => each.delete()));
      expect(await host.fingerprint()).toBe(before);
    });

    test("a later generation is written over the earlier one, whose delete then does nothing", async () => {
      const first = await Driven.create(kind, "generation", { ...args(), confirmDeadlineSeconds: 60 });
      // Another process would not know of the first.
      jest.resetModules();
      const fresh = jest.requireActual<{ Driven: typeof Driven; closeConnections: () => void }>("../lab/drive");
      const second = await fresh.Driven.create(kind, "generation", args());
      const standing = await host.fingerprint();
      await first.delete();
      expect(await host.fingerprint()).toBe(standing);
      expect(await second.refresh()).toEqual({});
      await second.delete();
      fresh.closeConnections();
      expect(await host.fingerprint()).toBe(before);
    });
  });
}
