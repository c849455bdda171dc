import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { compileLeakFence, leakFence, reviewLeakFence } from "../../dist/core/netfilter/leak-fence";
import { rulesOf } from "../../dist/core/netfilter/lines";
import { FAMILY, renderFragment } from "../../dist/core/netfilter/nft";
import { accessOf, Driven } from "../../test/lab/drive";
import { type LabHost, startHost } from "../lab";
import { figure, type Measurement, median, timed } from "./figure";
import { compareRates, SINK } from "./packets";

const PREFIXES = 10_000;
const EXCEPTIONS = 100_000;
const REPEATS = 3;
const OBJECT = "leak-fence-large-00000000";

/** A fence of very many prefixes: our part of the work beside that of nft. */
export const largeFence: Measurement = {
  title: "a fence of 10,000 prefixes and 100,000 exceptions",
  async measure(say) {
    const host = await startHost();
    try {
      await prepareLoading(host, compiled(0));
      const [ours, theirs]: [number[], number[]] = [[], []];
      for (let repeat = 1; repeat <= REPEATS; repeat++) {
        say(`compiling and rendering, loading it by nft, ${repeat} of ${REPEATS}`);
        ours.push(await timed(() => Promise.resolve(compiled(repeat))));
        theirs.push(await timeOfLoading(host));
      }
      say(`${median(ours).toFixed(0)} and ${median(theirs).toFixed(0)} ms`);
      return [figure("compiling 10,000 prefixes and 100,000 exceptions ÷ nft -f of the text", median(ours) / median(theirs), 1)];
    } finally {
      await host.down();
    }
  },
};

interface Rendered {
  readonly family: string;
  readonly text: string;
}

/** All that check and create do with the arguments; of each number other ones, so that nothing of them is known from before. */
function compiled(number: number): Rendered[] {
  const intent = leakFence.parse(args(number));
  if (reviewLeakFence(intent).length > 0) throw new Error("the fence is not valid");
  const fragments = compileLeakFence(OBJECT, intent);
  if (Object.keys(rulesOf(OBJECT, fragments)).length < PREFIXES + EXCEPTIONS) throw new Error("rules are missing");
  return fragments.map((fragment) => ({
    family: FAMILY[fragment.layer],
    text: renderFragment({ object: OBJECT, owner: "0".repeat(32), from: "bench" }, fragment).text,
  }));
}

/** Half of each IP version, half of the exceptions for each direction; nothing that could be joined. */
function args(number: number): unknown {
  const word = (value: number) => value.toString(16);
  const [v4, v6] = [`${10 + number}`, `2001:${word(0xdb8 + number)}`];
  const network = (index: number) =>
    index % 2 === 0 ? `${v4}.${(index >> 1) >> 6}.${4 * ((index >> 1) & 63)}.0/23` : `${v6}:${word(index)}::/48`;
  const exception = (index: number) =>
    index % 2 === 0
      ? `${v4}.${(index >> 1) >> 10}.${((index >> 1) >> 2) & 255}.${64 * ((index >> 1) & 3) + 1}/32`
      : `${v6}:${word(index >> 4)}:${word(index & 15)}::1/128`;
  return {
    uplink: "eth0",
    networks: Array.from({ length: PREFIXES }, (_, index) => network(index)),
    exceptions: Array.from({ length: EXCEPTIONS }, (_, index) => ({
      cidr: exception(index),
      direction: index % 4 < 2 ? "to" : "from",
    })),
  };
}

/** Puts the texts on the host as its own table-maker makes them. */
async function prepareLoading(host: LabHost, fragments: readonly Rendered[]): Promise<void> {
  const module = join(__dirname, "..", "host-program.mjs");
  const script = `import { tableMaker } from ${JSON.stringify(module)}; process.stdout.write(tableMaker())`;
  const tableMaker = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  await host.run("cat >/run/table.awk", { stdin: tableMaker });
  for (const { family, text } of fragments) {
    await host.run(`cat >/run/50-fence.nft; echo eth0 >/run/devices`, { stdin: text });
    await host.run(
      `awk -f /run/table.awk family=${family} purpose=table reading=devices /run/devices reading=fragments /run/50-fence.nft >>/run/large.nft`,
    );
  }
}

async function timeOfLoading(host: LabHost): Promise<number> {
  const load = `unshare -n sh -ec 'ip link add eth0 type veth peer name dbpeer; date +%s%N; nft -f /run/large.nft; date +%s%N'`;
  const { stdout } = await host.run(load, { timeoutSeconds: 600 });
  const [begin = NaN, end = NaN] = stdout.trim().split("\n").map(Number);
  return (end - begin) / 1e6;
}

/** What very many networks cost a packet that none of them is about. */
export const manyNetworks: Measurement = {
  title: "packets past 10,000 networks",
  async measure(say) {
    const networks = Array.from({ length: PREFIXES }, (_, index) => `10.${index >> 7}.${2 * (index & 127)}.0/24`);
    const ratio = await compareRates(
      say,
      (host) => fenced(host, networks.slice(0, 1)),
      (host) => fenced(host, networks),
    );
    return [figure("packets a second through a fence of 10,000 networks ÷ through one of one network", ratio, 0.9, "higher")];
  },
};

const fenced = (host: LabHost, networks: readonly string[]) =>
  Driven.create("LeakFence", "fence", { ...accessOf(host), uplink: SINK, networks });
