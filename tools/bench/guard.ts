import { accessOf, closeConnections, Driven } from "../../test/lab/drive";
import { type LabHost, startHost } from "../lab";
import { figure, type Measurement, median } from "./figure";
import { packetRate } from "./packets";

const USERS = 100;
const RULES = 10;
const ROUNDS = 9;

/** What the rules of many users cost a packet that none of them is about. */
export const guard: Measurement = {
  title: "guard",
  async measure(say) {
    // Two hosts, so that the two sides can take turns.
    const [few, many] = await Promise.all([startHost(), startHost()]);
    try {
      say("making the rules");
      await Promise.all([guarded(few, 1, 1), guarded(many, USERS, RULES)]);
      const rates: { few: number[]; many: number[] } = { few: [], many: [] };
      for (let round = 1; round <= ROUNDS; round++) {
        say(`round ${round} of ${ROUNDS}`);
        rates.few.push(await packetRate(few));
        rates.many.push(await packetRate(many));
      }
      const ratio = median(rates.many) / median(rates.few);
      return [figure("packets a second past 1,000 rules of 100 users ÷ past one rule", ratio, 0.95, "higher")];
    } finally {
      closeConnections();
      await Promise.all([few.down(), many.down()]);
    }
  },
};

async function guarded(host: LabHost, users: number, rules: number): Promise<void> {
  await host.run(`for n in $(seq ${users}); do useradd -M u$n; done`);
  const allow = Array.from({ length: rules }, (_, index) => ({ to: `192.0.2.${index + 1}`, ports: [20001 + index] }));
  await Promise.all([
    Driven.create("OutputGuard", "guard", { ...accessOf(host), ports: ["20001-20010"] }),
    ...Array.from({ length: users }, (_, n) =>
      Driven.create("UserOutputChain", `user-${n + 1}`, { ...accessOf(host), user: `u${n + 1}`, allow }),
    ),
  ]);
}
