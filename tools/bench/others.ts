import { accessOf, closeConnections, Driven } from "../../test/lab/drive";
import { startHost } from "../lab";
import { figure, type Measurement, median, timed } from "./figure";

const FENCES = 100;
const ROUNDS = 7;

/** What a change costs where somebody else changes rules of his own all the time (Docker, fail2ban): our tables are listed before it. */
export const others: Measurement = {
  title: "others",
  async measure(say) {
    const host = await startHost();
    try {
      say(`making ${FENCES} resources`);
      const args = { ...accessOf(host), uplink: "eth0" };
      const make = (name: string) => Driven.create("LeakFence", name, { ...args, networks: ["rfc1918", "ula"] });
      const [edited] = await Promise.all(Array.from({ length: FENCES }, (_, index) => make(`fence-${index}`)));
      if (!edited) throw new Error("unreachable");
      await host.run("nft add table ip others");
      const [alone, amid]: [number[], number[]] = [[], []];
      for (let round = 0; round < 2 * ROUNDS; round++) {
        const others = round % 2 === 1;
        if (others) await host.run("nft add chain ip others one; nft delete chain ip others one");
        (others ? amid : alone).push(await timed(() => edited.up({ ...args, networks: [`198.51.100.${round}/32`] })));
      }
      // The first one finds the table that was added.
      return [
        figure(
          `an edit beside ${FENCES} fences where others change rules of theirs ÷ where nobody does`,
          median(amid) / median(alone),
          1.5,
        ),
      ];
    } finally {
      closeConnections();
      await host.down();
    }
  },
};
