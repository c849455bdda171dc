import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import type { HostProgram } from "../../dist/host/program";
import { RemoteHost } from "../../dist/host/remote-host";
import { accessOf, closeConnections, Driven } from "../../test/lab/drive";
import { type LabHost, startHost } from "../lab";
import { figure, type Measurement, median, timed } from "./figure";

const ROUNDS = 9;

// What an import gives cannot be replaced.
const programs = createRequire(__filename)("../../dist/host/program") as { hostProgram: () => HostProgram };

/** What safety costs: a change that the host undoes unless a new connection confirms it ÷ one that stands as soon as it is applied. */
export const confirmation: Measurement = {
  title: "confirmation",
  async measure(say) {
    const host = await startHost();
    try {
      const safe = await timesOf(host, "safe", say);
      closeConnections();
      const trusting = await trusted(() => timesOf(host, "trusting", say));
      return [figure("a change with its confirmation ÷ one that nobody confirms", median(safe) / median(trusting), 2)];
    } finally {
      closeConnections();
      await host.down();
    }
  },
};

async function timesOf(host: LabHost, name: string, say: (text: string) => void): Promise<number[]> {
  const args = (round: number) => ({ ...accessOf(host), uplink: "eth0", networks: ["rfc1918", `100.64.${round}.0/24`] });
  say(name);
  const fence = await Driven.create("LeakFence", name, args(0));
  const times: number[] = [];
  for (let round = 1; round <= ROUNDS; round++) times.push(await timed(() => fence.up(args(round))));
  await fence.delete();
  return times;
}

/** Does the work with a host program that neither arms an undo nor waits; no package has such a one. */
async function trusted<T>(work: () => Promise<T>): Promise<T> {
  const { hostProgram } = programs;
  const methods = Object.getOwnPropertyDescriptors(RemoteHost.prototype);
  const call = methods.call.value as (...args: unknown[]) => Promise<Buffer>;
  const real = hostProgram();
  let text = real.text.toString("utf8");
  for (const [found, instead] of [
    [/^arm\(\) \{\n/m, 'arm() {\n: >"$T/pending"; return\n'],
    // The outcome is told when the change stands for good.
    [
      /^\t\tfinish "\$1" "applied [^\n]*\n[^]*?^\t\tunlock\n/m,
      '\t\tforget_neighbours\n\t\tunlock\n\t\tconfirm "$1" >/dev/null\n',
    ],
    [/finish "\$\{1##\*\/\}" confirmed\n/, 'finish "${1##*/}" "applied $(machine_id)"\n'],
  ] as const) {
    if (!found.test(text)) throw new Error(`the program has no ${found.source} to replace`);
    text = text.replace(found, () => instead);
  }
  const digest = createHash("sha256").update(text).digest("hex");
  const changed = { ...real, digest, text: Buffer.from(text.replace(/^DIGEST=.*$/m, `DIGEST=${digest}`)) };
  programs.hostProgram = () => changed;
  RemoteHost.prototype.reconnect = () => Promise.resolve();
  RemoteHost.prototype.call = function (...args) {
    return args[0] === "confirm" ? Promise.resolve(Buffer.from("confirmed\n")) : call.apply(this, args);
  };
  try {
    return await work();
  } finally {
    programs.hostProgram = hostProgram;
    Object.defineProperties(RemoteHost.prototype, methods);
  }
}
