import { compileLeakFence, leakFence, reviewLeakFence } from "../../dist/core/netfilter/leak-fence";
import { describeRules, FAMILY, renderFragment } from "../../dist/core/netfilter/nft";
import { type LabHost, startHost } from "../lab";
import { figure, type Measurement, timed } from "./figure";

const PREFIXES = 10_000;
const EXCEPTIONS = 100_000;
const OBJECT = "leak-fence-large-00000000";

/** A fence of very many prefixes: our part of the work beside that of nft. */
export const largeFence: Measurement = {
  title: "a fence of 10,000 prefixes and 100,000 exceptions",
  async measure(say) {
    const host = await startHost();
    try {
      say("compiling and rendering");
      let text = "";
      const ours = await timed(() => Promise.resolve((text = compiled())));
      say(`loading ${Math.round(text.length / 2 ** 20)} MB by nft`);
      const theirs = await timeOfLoading(host, text);
      return [figure("compiling 10,000 prefixes and 100,000 exceptions ÷ nft -f of the text", ours / theirs, 1)];
    } finally {
      await host.down();
    }
  },
};

/** All that check and create do with the arguments, and the text as the host's loader would join it. */
function compiled(): string {
  const intent = leakFence.parse(args());
  if (reviewLeakFence(intent).length > 0) throw new Error("the fence is not valid");
  const fragments = compileLeakFence(OBJECT, intent);
  const rules = describeRules(OBJECT, fragments);
  if (Object.keys(rules).length < 2 * PREFIXES + EXCEPTIONS) throw new Error("rules are missing");
  return fragments
    .map((fragment) => {
      const { text } = renderFragment({ object: OBJECT, owner: "0".repeat(32), from: "bench" }, fragment);
      const body = text.replace(/^# counter (.*)$/gm, "counter $1 { }").replace(/^#.*\n/gm, "");
      return `table ${FAMILY[fragment.layer]} drawbridge {\n${body}}\n`;
    })
    .join("");
}

/** Half of each IP version, half of the exceptions for each direction; nothing that could be joined. */
function args(): unknown {
  const word = (number: number) => number.toString(16);
  const network = (index: number) =>
    index % 2 === 0 ? `10.${(index >> 1) >> 6}.${4 * ((index >> 1) & 63)}.0/23` : `2001:db8:${word(index)}::/48`;
  const exception = (index: number) =>
    index % 2 === 0
      ? `10.${(index >> 1) >> 10}.${((index >> 1) >> 2) & 255}.${64 * ((index >> 1) & 3) + 1}/32`
      : `2001:db8:${word(index >> 4)}:${word(index & 15)}::1/128`;
  return {
    uplink: "eth0",
    networks: Array.from({ length: PREFIXES }, (_, index) => network(index)),
    exceptions: Array.from({ length: EXCEPTIONS }, (_, index) => ({
      cidr: exception(index),
      direction: index % 4 < 2 ? "to" : "from",
    })),
  };
}

async function timeOfLoading(host: LabHost, text: string): Promise<number> {
  await host.run("cat >/run/large.nft", { stdin: text });
  const script = `unshare -n sh -ec 'ip link add eth0 type veth peer name dbpeer; date +%s%N; nft -f /run/large.nft; date +%s%N'`;
  const { stdout } = await host.run(script, { timeoutSeconds: 600 });
  const [begin = NaN, end = NaN] = stdout.trim().split("\n").map(Number);
  return (end - begin) / 1e6;
}
