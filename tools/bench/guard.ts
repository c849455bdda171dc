import { accessOf, closeConnections, Driven } from "../../test/lab/drive";
import { type LabHost, startHost } from "../lab";
import { figure, type Measurement, median } from "./figure";

const USERS = 100;
const RULES = 10;
const ROUNDS = 9;
const PACKETS = 300_000;

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
        rates.few.push(await rate(few));
        rates.many.push(await rate(many));
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

/** Packets a second that one sender gets out; they end in a device that swallows them. */
async function rate(host: LabHost): Promise<number> {
  const { stdout } = await host.run(`
    ip link show sink >/dev/null 2>&1 || {
      ip link add sink type veth peer name drain && ip link set sink up && ip link set drain up
      ip address add 192.0.2.254/24 dev sink && ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev sink
    }
    perl -MSocket -MTime::HiRes=time -e '
      socket(my $socket, PF_INET, SOCK_DGRAM, 0); connect($socket, sockaddr_in(9, inet_aton("192.0.2.9")));
      my $begin = time; for (1 .. ${PACKETS}) { send($socket, "x", 0) } print ${PACKETS} / (time - $begin)'`);
  return Number(stdout);
}
