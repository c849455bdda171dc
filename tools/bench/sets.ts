import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accessOf, closeConnections, Driven } from "../../test/lab/drive";
import { type LabHost, startHost } from "../lab";
import { figure, type Measurement, median, timed } from "./figure";

const SMALL = 10;
const LARGE = 100_000;
const ROUNDS = 5;

/** What one more address costs in a set of very many, beside one more in a set of few; both from a file beside the program. */
export const sets: Measurement = {
  title: "sets of addresses",
  async measure(say) {
    const folder = mkdtempSync(join(tmpdir(), "drawbridge-bench-"));
    const hosts = [await startHost(), await startHost()] as const;
    try {
      const [few, many] = [await setOf(hosts[0], folder, SMALL), await setOf(hosts[1], folder, LARGE)];
      const made = await timed(() => few.make());
      say(`making a set of ${LARGE} addresses`);
      const makesMany = await timed(() => many.make());
      const [ofFew, ofMany]: [number[], number[]] = [[], []];
      for (let round = 0; round < ROUNDS; round++) {
        say(`one more, ${round + 1} of ${ROUNDS}`);
        ofFew.push(await timed(() => few.addOne(round)));
        ofMany.push(await timed(() => many.addOne(round)));
      }
      say(
        `medians: ${median(ofFew).toFixed(0)} and ${median(ofMany).toFixed(0)} ms; making: ${made.toFixed(0)} and ${makesMany.toFixed(0)} ms`,
      );
      return [
        figure(`one more address in a set of ${LARGE} ÷ in one of ${SMALL}`, median(ofMany) / median(ofFew), 1.5),
        figure(`bytes in the state of a set of ${LARGE} from a file`, JSON.stringify(many.state()).length, 10_000),
      ];
    } finally {
      closeConnections();
      rmSync(folder, { recursive: true });
      await Promise.all(hosts.map((host) => host.down()));
    }
  },
};

async function setOf(host: LabHost, folder: string, size: number) {
  const file = join(folder, `${size}.txt`);
  const args = { ...accessOf(host), name: "many", file };
  let set: Driven | undefined;
  writeFileSync(file, Array.from({ length: size }, (_, index) => `${addressOf(index)}\n`).join(""));
  const fence = await Driven.create("DefaultDrop", "input", {
    ...accessOf(host),
    hook: "input",
    mode: "log",
    management: { sources: ["0.0.0.0/0"] },
  });
  if (!fence.id) throw new Error("unreachable");
  return {
    make: async () => {
      set = await Driven.create("AddressSet", "many", args);
    },
    addOne: async (round: number) => {
      appendFileSync(file, `${addressOf(size + round)}\n`);
      await set?.up(args);
    },
    state: () => set?.outputs,
  };
}

const addressOf = (index: number) => `11.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
