import { accessOf, Driven, type Props } from "../../test/lab/drive";
import type { LabHost } from "../lab";
import { figure, type Measurement } from "./figure";
import { compareRates } from "./packets";

const ALLOWS = 1000;

/** What very many allows cost a packet that the last of them lets pass; they differ by address and port. They are resources of their own, or entries of the default drop. */
export const allows: Measurement = {
  title: "packets past 1,000 allows",
  async measure(say) {
    const resources = await compareRates(
      say,
      (host) => allowed(host, 1),
      (host) => allowed(host, ALLOWS),
    );
    const entries = await compareRates(
      say,
      (host) => drop(host, entriesOf(1)),
      (host) => drop(host, entriesOf(ALLOWS)),
    );
    return [
      figure("packets a second past 1,000 allows ÷ past one", resources, 0.9, "higher"),
      figure("packets a second past 1,000 entries of a default drop ÷ past one", entries, 0.9, "higher"),
    ];
  },
};

/** The bench's packets go to the last address, and all others are somebody else's. */
const entriesOf = (count: number): Props[] => [
  ...Array.from({ length: count - 1 }, (_, index) => ({
    protocol: "udp",
    to: [`198.51.${index >> 7}.${index & 127}`],
    ports: [1000 + index],
  })),
  { protocol: "udp", to: ["192.0.2.9"], ports: [9] },
];

const output = (host: LabHost): Props => ({ ...accessOf(host), hook: "output" });

async function drop(host: LabHost, allow: readonly Props[]): Promise<void> {
  await Driven.create("DefaultDrop", "output", { ...output(host), management: { sources: ["198.18.0.0/16"] }, allow });
}

async function allowed(host: LabHost, count: number): Promise<void> {
  await drop(host, []);
  await Promise.all(
    entriesOf(count).map((traffic, index) => Driven.create("Allow", `allow-${index}`, { ...output(host), ...traffic })),
  );
}
