import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { LabHost } from "../../tools/lab";
import { type Provider, Stack } from "./drill";

/** What a fault has to do with. */
export interface Scene {
  readonly host: LabHost;
  readonly provider: Provider;
  /** A second run that wants the same host. */
  readonly other: Stack;
}

/** Something that happens while a transaction stands at a step. */
export interface Fault {
  readonly name: string;
  /** Hurts, and answers what ends it, where it does not end by itself. */
  strike(scene: Scene): Promise<(() => Promise<unknown>) | undefined>;
  /** It lasts until the host has settled, not only until the run has ended. */
  readonly lasts?: true;
  /** Nobody is left on the host who could settle anything before the next call. */
  readonly killsHost?: true;
}

/** Nothing comes in or goes out, as with a cable that is pulled; the host sees no change of its own. */
export async function cut(host: LabHost, name = "drill"): Promise<() => Promise<unknown>> {
  await host.run(`nft -f - <<'end'
    table netdev ${name} { chain in { type filter hook ingress device "eth0" priority -500; policy drop; }
      chain out { type filter hook egress device "eth0" priority -500; policy drop; }
    }
end`);
  return () => host.run(`nft delete table netdev ${name}`);
}

async function fill(host: LabHost, folder: string): Promise<() => Promise<unknown>> {
  await host.run(`cat /dev/zero >${folder}/drill-fills-this 2>/dev/null; [ -s ${folder}/drill-fills-this ]`);
  return () => host.run(`rm ${folder}/drill-fills-this`);
}

export const faults: readonly Fault[] = [
  {
    name: "the provider is killed",
    strike: async ({ provider }) => {
      // A change may have ended before it is hurt.
      if (provider.process.exitCode !== null) return undefined;
      provider.process.kill("SIGKILL");
      await once(provider.process, "exit");
      return undefined;
    },
  },
  {
    name: "the run is interrupted once",
    strike: async ({ provider }) => {
      provider.process.kill("SIGUSR2");
      return sleep(200, undefined);
    },
  },
  {
    name: "the run is interrupted twice",
    strike: async ({ provider }) => {
      provider.process.kill("SIGUSR2");
      await sleep(200);
      provider.process.kill("SIGTERM");
      await sleep(200);
      return undefined;
    },
  },
  {
    name: "the session is killed",
    strike: async ({ host }) => {
      await host.run("pkill -KILL -u deploy sshd; true");
      return undefined;
    },
  },
  { name: "the network is cut for good", strike: ({ host }) => cut(host), lasts: true },
  {
    name: "the network is cut for a second",
    strike: async ({ host }) => {
      const mend = await cut(host);
      await sleep(1_000);
      await mend();
      return undefined;
    },
  },
  {
    name: "the process on the host is killed",
    strike: async ({ host }) => {
      await host.run("kill -KILL $(cat /run/drill/pid)");
      return undefined;
    },
  },
  {
    // $$ is the parent's number inside of $(…); this one is the subshell's own.
    name: "the subshell of the step is killed",
    strike: async ({ host }) => {
      await host.run("kill -KILL $(cat /run/drill/own)");
      return undefined;
    },
  },
  {
    name: "all processes on the host are killed",
    strike: async ({ host }) => {
      await host.run("pkill -KILL -f '[d]rawbridge-host'; true");
      return undefined;
    },
    killsHost: true,
  },
  { name: "the disk below /var/lib is full", strike: ({ host }) => fill(host, "/var/lib") },
  { name: "the disk below /etc is full", strike: ({ host }) => fill(host, "/etc") },
  {
    name: "/etc becomes read-only",
    strike: async ({ host }) => {
      await host.run("mount -o remount,ro /etc");
      return () => host.run("mount -o remount,rw /etc");
    },
  },
  {
    name: "another transaction waits",
    strike: async ({ other }) => {
      const waiting = other.start("there");
      await sleep(1_500);
      return async () => {
        expect(await waiting.outcomes).toEqual([expect.not.objectContaining({ error: expect.anything() as unknown })]);
        const gone = await other.start("gone").outcomes;
        expect(gone).toEqual([{}]);
      };
    },
  },
];
