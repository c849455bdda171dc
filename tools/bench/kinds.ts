import { readFileSync } from "node:fs";
import { accessOf, closeConnections, Driven } from "../../test/lab/drive";
import { titled } from "../../test/contract/samples";
import { startHost } from "../lab";
import { figure, type Figure, type Measurement, median, timed } from "./figure";
import { handshake } from "./handshake";

const ROUNDS = 5;

/** How many processes and threads this machine has started since its boot (proc_stat(5)), host and controller together. */
const started = () => Number(/^processes (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1]);

/** What a change of one resource costs, for every sample of every kind. */
export const kinds: Measurement = {
  title: "kinds",
  async measure(say) {
    const figures: Figure[] = [];
    for (const { kind, title, prepare = "true", edits, ...sample } of titled) {
      say(title);
      const host = await startHost();
      try {
        await host.run(prepare);
        const args = { ...sample.args, ...sample.apart?.(0) };
        const [first, second] = [args, { ...args, ...Object.fromEntries(Object.entries(edits).slice(0, 1)) }].map((own) => ({
          ...accessOf(host),
          ...own,
        }));
        if (!first || !second) throw new Error("unreachable");
        const resource = await Driven.create(kind, "measured", first);
        const [times, handshakes, processes]: [number[], number[], number[]] = [[], [], []];
        for (let round = 0; round < ROUNDS; round++) {
          handshakes.push(await handshake(host));
          const before = started();
          times.push(await timed(() => resource.up(round % 2 === 0 ? second : first)));
          processes.push(started() - before);
        }
        figures.push(
          figure(`a change of one ${title} ÷ an SSH handshake`, median(times) / median(handshakes), 5),
          // Whatever else the machine does is counted, too: the least of them is nearest to the truth.
          figure(`processes for a change of one ${title}`, Math.min(...processes), 60),
        );
      } finally {
        closeConnections();
        await host.down();
      }
    }
    return figures;
  },
};
