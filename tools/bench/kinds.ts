import { accessOf, closeConnections, Driven } from "../../test/lab/drive";
import { titled } from "../../test/contract/samples";
import { startHost } from "../lab";
import { figure, type Figure, type Measurement, median, timed } from "./figure";
import { handshake } from "./handshake";

const ROUNDS = 5;

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
        const [times, handshakes]: [number[], number[]] = [[], []];
        for (let round = 0; round < ROUNDS; round++) {
          handshakes.push(await handshake(host));
          times.push(await timed(() => resource.up(round % 2 === 0 ? second : first)));
        }
        figures.push(figure(`a change of one ${title} ÷ an SSH handshake`, median(times) / median(handshakes), 2.5));
      } finally {
        closeConnections();
        await host.down();
      }
    }
    return figures;
  },
};
