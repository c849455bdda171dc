import { accessOf, Driven } from "../../test/lab/drive";
import type { LabHost } from "../lab";
import { figure, type Measurement } from "./figure";
import { compareRates } from "./packets";

const USERS = 100;
const RULES = 10;

/** What the rules of many users cost a packet that none of them is about. */
export const guard: Measurement = {
  title: "guard",
  async measure(say) {
    const ratio = await compareRates(
      say,
      (host) => guarded(host, 1, 1),
      (host) => guarded(host, USERS, RULES),
    );
    return [figure("packets a second past 1,000 rules of 100 users ÷ past one rule", ratio, 0.95, "higher")];
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
