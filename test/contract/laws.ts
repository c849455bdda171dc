import { setTimeout as sleep } from "node:timers/promises";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, check, Driven } from "../lab/drive";
import { foreignTable, type Sample } from "./samples";

// Reads share a look for one second.
const untilNextLook = () => sleep(1100);

/** The name of a resource in its files. */
export const objectOf = ({ outputs }: Pick<Driven, "outputs">): string => {
  const files = Object.keys((outputs["applied"] as { files: Record<string, string> }).files);
  return files.map((path) => /(?:\d\d-|drawbridge-)([^/]*?)(?:\.nft)?$/.exec(path)?.[1] ?? "").at(0) ?? "";
};

/** What must be true of every kind, as tests of these samples. */
export function lawsHold(of: readonly (Sample & { readonly title: string })[]): void {
  describe.each(of)("every law holds for $title", (sample: Sample) => {
    const { kind } = sample;
    let host: LabHost;
    let before: string;
    const argsOn = (on: LabHost, n = 0) => ({
      ...accessOf(on),
      ...sample.args,
      ...sample.apart?.(n),
      confirmDeadlineSeconds: 30,
    });
    const args = (n?: number) => argsOn(host, n);

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
      await untilNextLook();
      expect(await resource.refresh()).toBe("gone");
      await resource.delete();
      expect(await host.fingerprint()).toBe(before);
    });

    test.each(Object.keys(sample.edits))("a change of %s alone is seen and made in place", async (key) => {
      const resource = await Driven.create(kind, `edit-${key}`, args());
      const edited = { ...args(), [key]: sample.edits[key] };
      const { inputs } = await check(kind, `edit-${key}`, edited);
      expect(await resource.diff(inputs)).not.toMatchObject({ changes: false });
      expect((await resource.diff(inputs)).replaces ?? []).toEqual([]);
      await resource.up(edited);
      await untilNextLook();
      expect(await resource.refresh()).toEqual({});
      await resource.delete();
      expect(await host.fingerprint()).toBe(before);
    });

    test.concurrent.each(sample.tamperings)(
      "$story: refresh names it, twice; another resource does not spread it; up repairs",
      async ({ script, names }) => {
        const other = await startHost();
        try {
          await other.run(foreignTable);
          await other.run(sample.prepare ?? "true");
          const mine = argsOn(other);
          const theirs = argsOn(other, 1);
          const resource = await Driven.create(kind, "tampered", mine);
          const neighbour = await Driven.create(kind, "neighbour", theirs);
          const right = await other.fingerprint();
          await other.run(script.replaceAll("OBJECT", objectOf(resource)));
          const wrong = await other.fingerprint();
          expect(wrong).not.toBe(right);
          await untilNextLook();
          const drift = await resource.refresh();
          for (const name of names) expect(Object.keys(drift)).toContainEqual(expect.stringMatching(name));
          expect(await other.fingerprint()).toBe(wrong);
          await untilNextLook();
          expect(await resource.refresh()).toEqual(drift);
          // Files that are wrong stay their owner's drift when somebody else's change loads the tables.
          await neighbour.up({ ...theirs, confirmDeadlineSeconds: 70 });
          await untilNextLook();
          const still = await resource.refresh();
          const ofFiles = Object.keys(drift).filter((id) => id.startsWith("file "));
          if (ofFiles.length > 0) expect(Object.keys(still)).toEqual(expect.arrayContaining(ofFiles));
          await resource.up(mine);
          await neighbour.up(theirs);
          await other.run("rm -f /etc/sudoers.d/zz-other /root/copy");
          await untilNextLook();
          expect(await resource.refresh()).toEqual({});
          expect(await other.fingerprint()).toBe(right);
        } finally {
          await other.down();
        }
      },
    );

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
      const good = ["one", "two", "three"].map((name, index) => Driven.create(kind, name, args(index + 1)));
      const resource = await Driven.create(kind, "wrong", args());
      const path = (sample.files[0] ?? "").replaceAll("OBJECT", objectOf(resource));
      await resource.delete();
      await host.run(`mkdir -p "$(dirname '${path}')" && echo '# mine' >'${path}'`);
      const all = await Promise.allSettled([
        ...["four", "five"].map((name, index) => Driven.create(kind, name, args(index + 4))),
        Driven.create(kind, "wrong", args()),
      ]);
      expect(all.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
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
      await untilNextLook();
      expect(await second.refresh()).toEqual({});
      await second.delete();
      fresh.closeConnections();
      expect(await host.fingerprint()).toBe(before);
    });
  });
}
