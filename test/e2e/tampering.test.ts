import { type LabHost, startHost } from "../../tools/lab";
import { foreignTable, titled } from "../contract/samples";
import { hostText, Stack } from "./stack";

/** Every tampering of every kind, each on a host of its own, so that one run of the CLI meets them all. */
const stories = titled.flatMap(({ tamperings, ...sample }) =>
  tamperings.map((tampering) => ({ ...sample, ...tampering, about: `${sample.title}: ${tampering.story}` })),
);
const nameOf = (index: number) => `story-${index}-`;
/** The tampered ones, and not their neighbours. */
const TAMPERED = ["--target", "**::story-**"];

/** The part of a diff that is about one resource. */
function partOf(text: string, index: number): string {
  const parts = text.split(/^(?= *[-+~ ] pulumi-nodejs:dynamic)/m);
  return parts.find((part) => part.includes(`::${nameOf(index)}]`)) ?? "";
}

/** The ids of the rules that a diff of the CLI shows as added, removed or changed. */
const idsIn = (text: string) => [...text.matchAll(/^ {6,}[-+~] (.+?) *: "/gm)].map(([, id = ""]) => id).sort();

/** What we say ourselves; the engine's diff is against the state, which knows the drift after the first refresh. */
const warningsIn = (text: string) =>
  [...text.matchAll(/warning: \w+ \S+ differs from what was last applied, .*(\n {2}\S.*)*/g)].map(([warning]) => warning).sort();

/** Works for all, some at a time. */
async function forAll<T>(work: (index: number) => Promise<T>): Promise<readonly T[]> {
  const answers: T[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < stories.length; index = next++) answers[index] = await work(index);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return answers;
}

describe("what somebody does by hand, by the real CLI", () => {
  let stack: Stack;
  const hosts: LabHost[] = [];
  const hostOf = (index: number) => {
    const host = hosts[index];
    if (!host) throw new Error(`no host of story ${index}`);
    return host;
  };
  const fingerprints = () => forAll((index) => hostOf(index).fingerprint());
  let right: readonly string[], wrong: readonly string[], stillWrong: readonly string[], mended: readonly string[];
  let first: string, second: string, preview: string, up: string, last: string;
  let besideNeighbours: string, end: readonly string[], restored: string;

  /** Each host has the tampered resource, and one of its kind beside it. */
  const program = (deadlineOfNeighbours: number) =>
    stories
      .map(({ kind, args, apart }, index) => {
        const resource = (name: string, own: object) =>
          `new drawbridge.${kind}("${name}", { ${hostText(hostOf(index))}, ...${JSON.stringify(own)} });`;
        return [
          resource(nameOf(index), { ...args, confirmDeadlineSeconds: 60 }),
          resource(`beside-${index}-`, { ...args, ...apart?.(1), confirmDeadlineSeconds: deadlineOfNeighbours }),
        ].join("\n");
      })
      .join("\n");

  beforeAll(async () => {
    await forAll(async (index) => {
      const { prepare = "true" } = stories[index] ?? {};
      const host = await startHost();
      hosts[index] = host;
      await host.run(`${foreignTable}; ${prepare}`);
    });
    stack = await Stack.create(program(60));
    await stack.up();
    const objects = new Map(
      (await stack.resources()).map(({ urn, outputs }) => [
        urn.split("::").at(-1),
        /(?:\d\d-|drawbridge-)([^/"]*?)(?:\.nft)?"/.exec(JSON.stringify(outputs["applied"]))?.[1] ?? "",
      ]),
    );
    right = await fingerprints();
    const tamper = () =>
      forAll((index) => hostOf(index).run((stories[index]?.script ?? "").replaceAll("OBJECT", objects.get(nameOf(index)) ?? "")));
    const repair = async () => {
      const text = await stack.up();
      // What is not ours stays.
      await forAll((index) => hostOf(index).run("rm -f /etc/sudoers.d/zz-other /root/copy"));
      return text;
    };
    await tamper();
    wrong = await fingerprints();
    first = await stack.refresh(...TAMPERED);
    second = await stack.refresh(...TAMPERED);
    preview = await stack.preview(...TAMPERED);
    stillWrong = await fingerprints();
    up = await repair();
    last = await stack.refresh();
    mended = await fingerprints();

    await tamper();
    stack.program(program(70));
    await stack.up("--target", "**::beside-**");
    besideNeighbours = await stack.refresh(...TAMPERED);
    await repair();
    restored = await stack.refresh();
    end = await fingerprints();
  }, 1_200_000);
  afterAll(async () => {
    stack.dispose();
    await Promise.all(hosts.map((host) => host.down()));
  });

  test.each(stories.map(({ about }, index) => [about, index] as const))(
    "%s: refresh names it, up repairs it",
    (_about, index) => {
      expect(wrong[index]).not.toBe(right[index]);
      for (const name of stories[index]?.names ?? [])
        expect(idsIn(partOf(first, index))).toContainEqual(expect.stringMatching(name));
      // What up will do is the very opposite, and reading has changed nothing.
      expect(idsIn(partOf(preview, index))).toEqual(idsIn(partOf(first, index)));
      expect(stillWrong[index]).toBe(wrong[index]);
      expect(mended[index]).toBe(right[index]);
    },
  );

  test.each(stories.map(({ about }, index) => [about, index] as const))(
    "%s: a change of its neighbour neither spreads nor hides it, and up repairs it then too",
    (_about, index) => {
      // What others load makes the kernel right again; a file that is wrong stays its owner's drift.
      const ofFiles = idsIn(partOf(first, index)).filter((id) => id.startsWith("file "));
      expect(idsIn(partOf(besideNeighbours, index))).toEqual(expect.arrayContaining(ofFiles));
      expect(end[index]).toBe(right[index]);
    },
  );

  test("refresh says it twice, in the same words, and no more when it is mended", () => {
    expect(warningsIn(first)).toHaveLength(stories.length);
    expect(warningsIn(second)).toEqual(warningsIn(first));
    expect(second).toContain(`~ ${stories.length} updated`);
    expect(up).toContain(`~ ${stories.length} updated`);
    expect([idsIn(last), warningsIn(last)]).toEqual([[], []]);
    expect(last).toContain(`${2 * stories.length + 1} unchanged`);
    expect([idsIn(restored), warningsIn(restored)]).toEqual([[], []]);
  });
});
