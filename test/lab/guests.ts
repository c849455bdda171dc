import { type LabGuest, type LabHost, startHost } from "../../tools/lab";

const hosts: LabHost[] = [];

/** A host that ends with the test file. */
export async function startOwnHost(): Promise<LabHost> {
  const host = await startHost();
  hosts.push(host);
  return host;
}

afterAll(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.down()));
});

/** One ping, for what must not be answered; its positive control stands beside it. */
export const answers = async (from: LabGuest, address: string): Promise<boolean> =>
  (await from.run(`ping -n -c 1 -W 1 ${address} >/dev/null`, { allowFailure: true })).code === 0;

/** Pings until there is an answer: addresses and ports want a moment. */
export const untilAnswered = (from: LabGuest, address: string) =>
  from.run(`for i in $(seq 50); do ping -n -c 1 -W 1 ${address} >/dev/null && exit 0; sleep 0.2; done; exit 1`);
