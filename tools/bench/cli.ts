import { type LabHost, startHost } from "../lab";
import { figure, type Measurement, median } from "./figure";
import { peakOfProvider, Side, type Size, type Who } from "./side";

// What the engine takes on two cores, so that other machines measure the same.
const BY_DEFAULT = ["--parallel", "8"];

/** How a program of `count` resources on one host compares with the same one that does nothing. */
export function manyOnOneHost(
  count: number,
  repeats: number,
  goals: { readonly byDefault?: number; readonly at200?: number },
): Measurement {
  const { byDefault, at200 } = goals;
  const what = count === 1 ? "1 resource" : `${count} resources`;
  return {
    title: `${what} on one host`,
    async measure(say) {
      const times = new Ratios();
      let [peak, looks, shim] = [NaN, NaN, NaN];
      for (let repeat = 1; repeat <= repeats; repeat++) {
        const parallels = [
          ...(byDefault === undefined ? [] : [BY_DEFAULT]),
          ...(at200 === undefined ? [] : [["--parallel", "200"]]),
        ];
        for (const parallel of parallels) {
          await onOneHost(
            async (side, host) => {
              say(`${repeat} of ${repeats}, ${side.is}: up ${parallel.join(" ")}`);
              const created = () => side.up(...parallel).then((ms) => times.add(`up ${parallel.join(" ")}`, side.is, ms));
              if (side.is === "ours") peak = await peakOfProvider(created);
              else await created();
              // The state is the same, however it came about.
              if (parallel !== parallels.at(-1)) return;
              say(`${repeat} of ${repeats}, ${side.is}: up without a change`);
              times.add("unchanged", side.is, await side.up(...BY_DEFAULT));
              say(`${repeat} of ${repeats}, ${side.is}: refresh`);
              const before = sessions(host);
              times.add("refresh", side.is, await side.refresh(...BY_DEFAULT));
              if (side.is !== "ours") return;
              looks = sessions(host) - before;
              shim = Math.max(...(await side.stack.resources()).map(({ inputs }) => String(inputs["__provider"]).length));
            },
            // Where the state is large, the engine's work on it shows.
            { count, sides: at200 === undefined ? ["nothing", "ours"] : ["nothing", "as much state", "ours"] },
          );
        }
      }
      return [
        ...(byDefault === undefined
          ? []
          : [figure(`up of ${what} ÷ doing nothing`, times.of(`up ${BY_DEFAULT.join(" ")}`), byDefault)]),
        ...(at200 === undefined
          ? []
          : [
              figure(`up of ${what}, --parallel 200 ÷ doing nothing`, times.of("up --parallel 200"), at200),
              figure(
                `up of ${what}, --parallel 200 ÷ doing nothing with as large a state`,
                times.of("up --parallel 200", "as much state"),
                at200,
              ),
            ]),
        figure(`unchanged up of ${what} ÷ doing nothing`, times.of("unchanged"), 1.25),
        figure(`refresh of ${what} ÷ doing nothing`, times.of("refresh"), 1.5),
        ...(count < 1000
          ? []
          : [
              figure(`looks at the host in a refresh of ${what}`, looks, 3),
              figure(`memory of the provider process, ${what} (MB)`, peak, 200),
              figure("size of __provider in the state (bytes)", shim, 200),
            ]),
      ];
    },
  };
}

/** One fence with so many networks that it has 100 rules. */
export const manyRules: Measurement = {
  title: "one resource with 100 rules",
  async measure(say) {
    const repeats = 5;
    const times = new Ratios();
    for (let repeat = 1; repeat <= repeats; repeat++) {
      say(`${repeat} of ${repeats}`);
      const networks = Array.from({ length: 22 }, (_, index) => `10.${2 * index}.0.0/16`);
      await onOneHost(async (side) => times.add("up", side.is, await side.up(...BY_DEFAULT)), { count: 1, networks });
    }
    return [figure("up of 1 resource with 100 rules ÷ doing nothing", times.of("up"), 1.15)];
  },
};

/** What more hosts cost. */
export const manyHosts: Measurement = {
  title: "50 hosts",
  async measure(say) {
    const repeats = 3;
    const times = { one: [] as number[], fifty: [] as number[] };
    for (let repeat = 1; repeat <= repeats; repeat++) {
      for (const [name, count] of [
        ["one", 1],
        ["fifty", 50],
      ] as const) {
        say(`${repeat} of ${repeats}: ${count === 1 ? "1 host" : `${count} hosts`}`);
        await onHosts(count, async (hosts) => {
          await withSide("ours", { hosts, count: 1 }, async (side) => times[name].push(await side.up(...BY_DEFAULT)));
        });
      }
    }
    return [figure("up of 50 hosts ÷ 1 host, one resource on each", median(times.fifty) / median(times.one), 5)];
  },
};

/** Times of all sides, by what was done. */
class Ratios {
  readonly #times = new Map<string, Record<Who, number[]>>();

  add(what: string, side: Who, ms: number): void {
    const all = this.#times.get(what) ?? { ours: [], nothing: [], "as much state": [] };
    all[side].push(ms);
    this.#times.set(what, all);
  }

  /** Ours ÷ another side's. */
  of(what: string, other: Who = "nothing"): number {
    const all = this.#times.get(what);
    return all ? median(all.ours) / median(all[other]) : NaN;
  }
}

/** The same work for each side, one after the other, on a fresh host. */
async function onOneHost(
  work: (side: Side, host: LabHost) => Promise<unknown>,
  { sides = ["nothing", "ours"], ...size }: Omit<Size, "hosts"> & { readonly sides?: readonly Who[] },
): Promise<void> {
  await onHosts(1, async (hosts) => {
    for (const is of sides) {
      await withSide(is, { hosts, ...size }, async (side) => {
        for (const host of hosts) await work(side, host);
      });
    }
  });
}

async function withSide(is: Who, size: Size, work: (side: Side) => Promise<unknown>): Promise<void> {
  const side = await Side.create(is, size);
  try {
    await work(side);
  } finally {
    side.stack.dispose();
  }
}

async function onHosts(count: number, work: (hosts: readonly LabHost[]) => Promise<unknown>): Promise<void> {
  const hosts: LabHost[] = [];
  try {
    for (let number = 0; number < count; number++) hosts.push(await startHost({ sshdOptions: ["LogLevel=VERBOSE"] }));
    await work(hosts);
  } finally {
    for (const host of hosts) await host.down();
  }
}

/** How many commands came over SSH so far. */
const sessions = (host: LabHost) => [...host.log().matchAll(/^Starting session: command/gm)].length;
