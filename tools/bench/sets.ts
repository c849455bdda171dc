import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hostText, Stack } from "../../test/e2e/stack";
import { type LabHost, startHost } from "../lab";
import { figure, type Measurement, median, timed } from "./figure";

const SMALL = 10;
const LARGE = 100_000;
const ROUNDS = 5;

/** What one more address costs in a set of very many, beside one more in a set of few: `pulumi up`, both from a file beside the program. */
export const sets: Measurement = {
  title: "sets of addresses",
  async measure(say) {
    const hosts = [await startHost(), await startHost()] as const;
    const stacks: SetStack[] = [];
    try {
      const few = await SetStack.create(hosts[0], SMALL);
      stacks.push(few);
      const many = await SetStack.create(hosts[1], LARGE);
      stacks.push(many);
      const made = [await few.up(), await many.up()] as const;
      const [ofFew, ofMany]: [number[], number[]] = [[], []];
      for (let round = 1; round <= ROUNDS; round++) {
        say(`one more, ${round} of ${ROUNDS}`);
        ofFew.push(await few.addOne());
        ofMany.push(await many.addOne());
      }
      const bytes = await many.largest();
      say(
        `made in ${(made[0] / 1000).toFixed(1)} and ${(made[1] / 1000).toFixed(1)} s; one more in ${median(ofFew).toFixed(0)} and ${median(ofMany).toFixed(0)} ms`,
      );
      return [
        figure(`up of a set of ${LARGE} addresses ÷ of one of ${SMALL}`, made[1] / made[0], 5),
        figure(`up with one more address in a set of ${LARGE} ÷ in one of ${SMALL}`, median(ofMany) / median(ofFew), 1.5),
        figure(`a set of ${LARGE} from a file in the state (bytes)`, bytes, 10_000),
      ];
    } finally {
      for (const { stack } of stacks) stack.dispose();
      await Promise.all(hosts.map((host) => host.down()));
    }
  },
};

class SetStack {
  #size = 0;
  private constructor(readonly stack: Stack) {}

  static async create(host: LabHost, size: number): Promise<SetStack> {
    const stack = await Stack.create(`const host = { ${hostText(host)} };
new drawbridge.DefaultDrop("input", { ...host, hook: "input", mode: "log", management: { sources: ["0.0.0.0/0"] } });
new drawbridge.AddressSet("many", { ...host, name: "many", file: "many.txt" });`);
    const set = new SetStack(stack);
    writeFileSync(join(stack.folder, "many.txt"), "");
    set.#append(size);
    return set;
  }

  #append(count: number): void {
    const next = Array.from({ length: count }, () => {
      const number = this.#size++;
      return `11.${number >> 16}.${(number >> 8) & 255}.${number & 255}\n`;
    });
    appendFileSync(join(this.stack.folder, "many.txt"), next.join(""));
  }

  up = () => timed(() => this.stack.up());

  addOne = async () => {
    this.#append(1);
    return this.up();
  };

  async largest(): Promise<number> {
    const resources = await this.stack.resources();
    return Math.max(...resources.map((one) => Buffer.byteLength(JSON.stringify(one))));
  }
}
