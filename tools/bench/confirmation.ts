import { RemoteHost } from "../../dist/host/remote-host";
import { accessOf, closeConnections, Driven } from "../../test/lab/drive";
import { startHost } from "../lab";
import { figure, type Measurement, median, timed } from "./figure";

const ROUNDS = 9;

/** What safety costs: how much of a change its confirmation takes, from the answer that it is applied to the end of the new connection's command. */
export const confirmation: Measurement = {
  title: "confirmation",
  async measure(say) {
    const host = await startHost();
    const reconnect = Object.getOwnPropertyDescriptor(RemoteHost.prototype, "reconnect");
    if (!reconnect) throw new Error("a host cannot be reconnected to any more");
    try {
      say("changes");
      const args = (round: number) => ({ ...accessOf(host), uplink: "eth0", networks: ["rfc1918", `100.64.${round}.0/24`] });
      const fence = await Driven.create("LeakFence", "fence", args(0));
      let applied = NaN;
      const original = reconnect.value as (...given: unknown[]) => Promise<unknown>;
      RemoteHost.prototype.reconnect = function (...given: unknown[]) {
        applied = performance.now();
        return original.apply(this, given) as Promise<void>;
      };
      const shares: number[] = [];
      for (let round = 1; round <= ROUNDS; round++) {
        const whole = await timed(() => fence.up(args(round)));
        shares.push((performance.now() - applied) / whole);
      }
      return [figure("the confirmation's share of a change", median(shares), 0.5)];
    } finally {
      Object.defineProperty(RemoteHost.prototype, "reconnect", reconnect);
      closeConnections();
      await host.down();
    }
  },
};
