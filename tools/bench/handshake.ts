import { openSsh } from "../../dist/host/ssh";
import { clientKeyPath, type LabHost } from "../lab";
import { median, timed } from "./figure";

/** How long one connection with its authentication takes, in milliseconds: the unit of what a host costs. */
export async function handshake(host: LabHost): Promise<number> {
  const target = { connection: { host: host.address, user: "deploy", hostKey: host.hostKey }, privateKeyPath: clientKeyPath };
  const times: number[] = [];
  for (let repeat = 0; repeat < 3; repeat++) {
    times.push(await timed(async () => (await openSsh(target, AbortSignal.timeout(15_000))).close()));
  }
  return median(times);
}
