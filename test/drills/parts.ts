import { createHash } from "node:crypto";
import { accessOf, check } from "../lab/drive";
import { titled } from "../contract/samples";
import type { Part } from "./drill";

const someHost = accessOf({ address: "192.0.2.1", hostKey: "" });

export interface SamplePart extends Part {
  readonly sample: (typeof titled)[number];
  /** It had to make room for an earlier sample of its kind, so that its names are others than its sample's. */
  readonly isApart: boolean;
}

/**
 * One resource of every sample of every kind, all on one host: as the sample has it (A), and with the first of its edits that changes
 * its rules (B), so that a look at the host tells the two apart. All are there in both, so that one wave brings them from one to the other.
 */
export const partsOfAllKinds = (): Promise<readonly SamplePart[]> =>
  Promise.all(
    titled.map(async (sample, index) => {
      const { kind, title, args, apart, edits } = sample;
      const earlier = titled.slice(0, index).filter((other) => other.kind === kind).length;
      const A = { ...args, ...(earlier > 0 ? apart?.(earlier) : {}) };
      const rulesOf = async (own: object) => JSON.stringify((await check(kind, title, { ...someHost, ...own })).inputs["rules"]);
      const rules = await rulesOf(A);
      for (const [key, value] of Object.entries(edits)) {
        const B = { ...A, [key]: value };
        if ((await rulesOf(B)) === rules) continue;
        const id = createHash("md5").update(title).digest("hex");
        return {
          kind,
          name: title.toLowerCase().replaceAll(" ", "-"),
          id,
          args: { A, B },
          sample,
          isApart: earlier > 0 && apart !== undefined,
        };
      }
      throw new Error(`no edit of the sample ${title} changes its rules`);
    }),
  );

/** What all of them need of a host, as a script. */
export const preparation = titled.map(({ prepare = "true" }) => prepare).join("\n");
