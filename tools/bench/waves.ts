import { accessOf, closeConnections, Driven } from "../../test/lab/drive";
import { type LabHost, startHost } from "../lab";
import { figure, type Figure, type Measurement, median, timed } from "./figure";
import { handshake } from "./handshake";

const SIZE = 8;
const HUNDREDTH = 100;
const REPEATS = 3;

/** What a wave of the engine costs: operations that come together, on a host that is new or has many already. */
export const waves: Measurement = {
  title: "waves",
  async measure(say) {
    const handshakes: number[] = [];
    const [first, second, hundredth]: [Wave[], Wave[], Wave[]] = [[], [], []];
    try {
      for (let repeat = 1; repeat <= REPEATS; repeat++) {
        say(`first and second wave, ${repeat} of ${REPEATS}`);
        await onHost(async (host) => {
          handshakes.push(await handshake(host));
          first.push(await wave(host, `first-${repeat}`, SIZE));
          second.push(await wave(host, `second-${repeat}`, SIZE));
        });
      }
      await onHost(async (host) => {
        const before = (HUNDREDTH - REPEATS) * SIZE;
        say(`making ${before} resources`);
        await wave(host, "before", before);
        for (let number = HUNDREDTH - REPEATS + 1; number <= HUNDREDTH; number++) {
          say(`wave ${number}`);
          handshakes.push(await handshake(host));
          hundredth.push(await wave(host, `wave-${number}`, SIZE));
        }
      });
    } finally {
      closeConnections();
    }
    return [
      // One connection to come, and one to confirm.
      ...figuresOf("the first wave", first, handshakes, 2),
      ...figuresOf("the hundredth wave", hundredth, handshakes, 1),
      figure("time of the hundredth wave ÷ the second", timeOf(hundredth) / timeOf(second), 1.3),
    ];
  },
};

interface Wave {
  readonly milliseconds: number;
  readonly connections: number;
  readonly roundTrips: number;
  readonly transactions: number;
}

const timeOf = (all: readonly Wave[]) => median(all.map(({ milliseconds }) => milliseconds));

function figuresOf(name: string, all: readonly Wave[], handshakes: readonly number[], connections: number): Figure[] {
  const of = (key: keyof Wave) => median(all.map((one) => one[key]));
  return [
    figure(`transactions of ${name}`, of("transactions"), 1),
    figure(`new connections of ${name}`, of("connections"), connections),
    // Say what is wanted, and confirm it.
    figure(`round trips of ${name}`, of("roundTrips"), 2),
    figure(`time of ${name} ÷ an SSH handshake`, timeOf(all) / median(handshakes), 2.5),
  ];
}

/** Creates resources that come together. What it costs is counted on the host. */
async function wave(host: LabHost, name: string, size: number): Promise<Wave> {
  const args = { ...accessOf(host), uplink: "eth0", networks: ["rfc1918", "ula"] };
  const before = await counts(host);
  const milliseconds = await timed(() =>
    Promise.all(Array.from({ length: size }, (_, index) => Driven.create("LeakFence", `${name}-${index}`, args))),
  );
  const after = await counts(host);
  return {
    milliseconds,
    connections: after.connections - before.connections,
    roundTrips: after.roundTrips - before.roundTrips,
    transactions: after.transactions - before.transactions,
  };
}

async function counts(host: LabHost): Promise<Omit<Wave, "milliseconds">> {
  // Every transaction leaves its result for a day.
  const { stdout } = await host.run("find /run/drawbridge/results -type f 2>/dev/null | wc -l");
  const log = host.log();
  const count = (pattern: RegExp) => [...log.matchAll(pattern)].length;
  return {
    connections: count(/^Accepted publickey/gm),
    roundTrips: count(/^Starting session: command/gm),
    transactions: Number(stdout),
  };
}

async function onHost(work: (host: LabHost) => Promise<void>): Promise<void> {
  const host = await startHost({ sshdOptions: ["LogLevel=VERBOSE"] });
  try {
    await work(host);
  } finally {
    await host.down();
  }
}
