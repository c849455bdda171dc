import { type LabHost, startHost } from "../lab";
import { type Figure, figure, type Measurement, median } from "./figure";
import { Ratios } from "./ratios";
import { peakOfProvider, Side, type Size, type Who } from "./side";

// What the engine takes on two cores, so that other machines measure the same.
const BY_DEFAULT = ["--parallel", "8"];
const AT_200 = ["--parallel", "200"];
const REPEATS = 5;

/** How a program of one resource compares with the same one that does nothing. */
export const oneResource: Measurement = {
  title: "1 resource on one host",
  async measure(say) {
    const times = new Ratios();
    let [bytes, all, toHost] = [NaN, NaN, NaN];
    await inTurns(["nothing", "ours"], { count: 1 }, say, async (side) => {
      if (side.is === "ours") ({ all, toHost } = await side.linesOfCreation());
      times.add("up", side.is, await side.up(...BY_DEFAULT));
      times.add("unchanged", side.is, await side.up(...BY_DEFAULT));
      times.add("refresh", side.is, await side.refresh(...BY_DEFAULT));
      if (side.is === "ours") bytes = await side.largest();
    });
    say(times.told());
    return [
      figure("up of 1 resource ÷ doing nothing", times.of("up"), 1.15),
      ...stillFigures("1 resource", times),
      figure("a fence between rfc1918 and ula in the state (bytes)", bytes, 6000),
      figure("lines of preview --diff for its creation, less those that lead to its host", all - toHost, 20),
      figure("the same with those that lead to its host", all, 20),
    ];
  },
};

/** The same of 100, beside a provider that takes one connection and one command for each. */
export const hundredResources: Measurement = {
  title: "100 resources on one host",
  async measure(say) {
    const times = new Ratios();
    await inTurns(["nothing", "as much state", "naive", "ours"], { count: 100 }, say, async (side) => {
      times.add("up", side.is, await side.up(...BY_DEFAULT));
      if (side.is !== "naive") {
        times.add("unchanged", side.is, await side.up(...BY_DEFAULT));
        times.add("refresh", side.is, await side.refresh(...BY_DEFAULT));
      }
      times.add("destroy", side.is, await side.destroy(...BY_DEFAULT));
      times.add("up at 200", side.is, await side.up(...AT_200));
    });
    say(times.told());
    return [
      figure("up of 100 resources ÷ doing nothing", times.of("up"), 1.7),
      ...at200Figures("100 resources", times),
      ...stillFigures("100 resources", times),
      figure("up of 100 resources ÷ a connection for each, both less doing nothing", times.beyond("up"), 2),
      figure("destroy of 100 resources ÷ a connection for each, both less doing nothing", times.beyond("destroy"), 3),
      figure(
        "up of 100 resources, --parallel 200 ÷ a connection for each, both less doing nothing",
        times.beyond("up at 200"),
        0.4,
      ),
    ];
  },
};

/** The same of 1000. They are made once: that takes minutes, and what is asked of them afterwards leaves them as they are. */
export const thousandResources: Measurement = {
  title: "1000 resources on one host",
  async measure(say) {
    const times = new Ratios();
    let [peak, looks, shim] = [NaN, NaN, NaN];
    await onSides(["nothing", "as much state", "ours"], { count: 1000 }, async (sides) => {
      for (const { side } of sides) {
        say(`${side.is}: up`);
        const up = async () => times.add("up at 200", side.is, await side.up(...AT_200));
        if (side.is === "ours") peak = await peakOfProvider(up);
        else await up();
      }
      for (let repeat = 1; repeat <= REPEATS; repeat++) {
        for (const { side, host } of sides) {
          say(`${repeat} of ${REPEATS}, ${side.is}: up without a change, refresh`);
          times.add("unchanged", side.is, await side.up(...BY_DEFAULT));
          const before = sessions(host);
          times.add("refresh", side.is, await side.refresh(...BY_DEFAULT));
          if (side.is === "ours") looks = sessions(host) - before;
        }
      }
      for (const { side } of sides.filter((one) => one.side.is === "ours")) {
        shim = Math.max(...(await side.stack.resources()).map(({ inputs }) => String(inputs["__provider"]).length));
      }
    });
    say(times.told());
    return [
      ...at200Figures("1000 resources", times),
      ...stillFigures("1000 resources", times),
      figure("refresh of 1000 resources ÷ doing nothing with as large a state", times.of("refresh", "as much state"), 1.5),
      figure("looks at the host in a refresh of 1000 resources", looks, 3),
      figure("memory of the provider process, 1000 resources (MB)", peak, 200),
      figure("size of __provider in the state (bytes)", shim, 200),
    ];
  },
};

const at200Figures = (what: string, times: Ratios): Figure[] => [
  figure(`up of ${what}, --parallel 200 ÷ doing nothing`, times.of("up at 200"), 1.25),
  figure(`up of ${what}, --parallel 200 ÷ doing nothing with as large a state`, times.of("up at 200", "as much state"), 1.25),
];

const stillFigures = (what: string, times: Ratios): Figure[] => [
  figure(`unchanged up of ${what} ÷ doing nothing`, times.of("unchanged"), 1.25),
  figure(`refresh of ${what} ÷ doing nothing`, times.of("refresh"), 1.5),
];

/** One fence with so many networks that it has 100 rules. */
export const manyRules: Measurement = {
  title: "one resource with 100 rules",
  async measure(say) {
    const times = new Ratios();
    const networks = Array.from({ length: 22 }, (_, index) => `10.${2 * index}.0.0/16`);
    await inTurns(["nothing", "ours"], { count: 1, networks }, say, async (side) =>
      times.add("up", side.is, await side.up(...BY_DEFAULT)),
    );
    return [figure("up of 1 resource with 100 rules ÷ doing nothing", times.of("up"), 1.15)];
  },
};

/** What more hosts cost. */
export const manyHosts: Measurement = {
  title: "50 hosts",
  async measure(say) {
    const times = { one: [] as number[], fifty: [] as number[] };
    for (let repeat = 1; repeat <= REPEATS; repeat++) {
      for (const [name, count] of [
        ["one", 1],
        ["fifty", 50],
      ] as const) {
        say(`${repeat} of ${REPEATS}: ${count === 1 ? "1 host" : `${count} hosts`}`);
        await onHosts(count, async (hosts) => {
          await withSide("ours", { hosts, count: 1 }, async (side) => times[name].push(await side.up(...BY_DEFAULT)));
        });
      }
    }
    return [figure("up of 50 hosts ÷ 1 host, one resource on each", median(times.fifty) / median(times.one), 5)];
  },
};

/** The same work for each side, one after the other, several times, each on a fresh host. */
async function inTurns(
  all: readonly Who[],
  size: Omit<Size, "hosts">,
  say: (text: string) => void,
  work: (side: Side) => Promise<unknown>,
): Promise<void> {
  for (let repeat = 1; repeat <= REPEATS; repeat++) {
    for (const is of all) {
      say(`${repeat} of ${REPEATS}, ${is}`);
      await onSides([is], size, async (sides) => {
        for (const { side } of sides) await work(side);
      });
    }
  }
}

/** A stack on a host of its own for each side. */
async function onSides(
  all: readonly Who[],
  size: Omit<Size, "hosts">,
  work: (sides: readonly { side: Side; host: LabHost }[]) => Promise<unknown>,
): Promise<void> {
  const sides: { side: Side; host: LabHost }[] = [];
  await onHosts(all.length, async (hosts) => {
    try {
      for (const [index, host] of hosts.entries()) {
        const is = all[index];
        if (is !== undefined) sides.push({ host, side: await Side.create(is, { hosts: [host], ...size }) });
      }
      await work(sides);
    } finally {
      for (const { side } of sides) side.stack.dispose();
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
