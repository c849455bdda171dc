import { accessOf, Driven } from "../../test/lab/drive";
import type { LabHost } from "../lab";
import { figure, type Measurement } from "./figure";
import { compareRates } from "./packets";

const ALLOWS = 1000;

/** What very many allows cost a packet that the last of them lets pass; they differ by address and port. */
export const allows: Measurement = {
  title: "packets past 1,000 allows",
  async measure(say) {
    const ratio = await compareRates(
      say,
      (host) => allowed(host, 1),
      (host) => allowed(host, ALLOWS),
    );
    return [figure("packets a second past 1,000 allows ÷ past one", ratio, 0.9, "higher")];
  },
};

/** The bench's packets go to the last address, and all others are somebody else's. */
async function allowed(host: LabHost, count: number): Promise<void> {
  const output = { ...accessOf(host), hook: "output" };
  await Driven.create("DefaultDrop", "output", { ...output, management: { sources: ["198.18.0.0/16"] } });
  const others = Array.from({ length: count - 1 }, (_, index) => ({
    to: [`198.51.${index >> 7}.${index & 127}`],
    ports: [1000 + index],
  }));
  await Promise.all(
    [...others, { to: ["192.0.2.9"], ports: [9] }].map((traffic, index) =>
      Driven.create("Allow", `allow-${index}`, { ...output, protocol: "udp", ...traffic }),
    ),
  );
}
