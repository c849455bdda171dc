import { type LabHost, startHost } from "../../tools/lab";
import { foreignTable, type Sample } from "../contract/samples";
import { hostText, Stack } from "./stack";

/** The ids of the rules that a diff of the CLI shows as added, removed or changed. */
const idsIn = (text: string) => [...text.matchAll(/^ {6,}[-+~] (.+?) *: "/gm)].map(([, id = ""]) => id);

/** What we say ourselves; the engine's diff is against the state, which knows the drift after the first refresh. */
const warningIn = (text: string) => /warning: not as confirmed:(\n {2}\S.*)+/.exec(text)?.[0];

// Drift of every sort goes by them through the CLI; test/contract holds all kinds to the same law.
const SHOWN = new Set(["Bridge", "BridgePort", "LeakFence", "SudoRule"]);

/** Every tampering of these samples, by the real CLI. */
export function tamperingsAreNamed(of: readonly (Sample & { readonly title: string })[]): void {
  describe.each(of.filter(({ kind }) => SHOWN.has(kind)))(
    "what somebody does to a $title by hand, by the real CLI",
    (sample: Sample) => {
      let host: LabHost;
      let stack: Stack;
      let object: string;

      beforeAll(async () => {
        host = await startHost();
        await host.run(`${foreignTable}; ${sample.prepare ?? "true"}`);
        stack = await Stack.create(
          `new drawbridge.${sample.kind}("tampered", { ${hostText(host)}, ...${JSON.stringify(sample.args)}, confirmDeadlineSeconds: 30 });`,
        );
        await stack.up();
        const [resource] = await stack.resources();
        object = /(?:\d\d-|drawbridge-)([^/"]*?)(?:\.nft)?"/.exec(JSON.stringify(resource?.outputs["applied"]))?.[1] ?? "";
      });
      afterAll(async () => {
        stack.dispose();
        await host.down();
      });

      test.each(sample.tamperings)("$story: refresh names it, twice; up repairs it", async ({ script, names }) => {
        const standing = await host.fingerprint();
        await host.run(script.replaceAll("OBJECT", object));
        const wrong = await host.fingerprint();
        expect(wrong).not.toBe(standing);
        const first = await stack.refresh();
        for (const name of names) expect(idsIn(first)).toContainEqual(expect.stringMatching(name));
        const second = await stack.refresh();
        expect(second).toContain("~ 1 updated");
        expect(warningIn(second)).toBeDefined();
        expect(warningIn(second)).toBe(warningIn(first));
        // What up will do is the very opposite.
        expect(idsIn(await stack.preview()).sort()).toEqual(idsIn(first).sort());
        expect(await host.fingerprint()).toBe(wrong);
        expect(await stack.up()).toContain("~ 1 updated");
        // What is not ours stays.
        await host.run("rm -f /etc/sudoers.d/zz-other /root/copy");
        const last = await stack.refresh();
        expect([last, idsIn(last), warningIn(last)]).toEqual([expect.stringContaining("2 unchanged"), [], undefined]);
        expect(await host.fingerprint()).toBe(standing);
      });
    },
  );
}
