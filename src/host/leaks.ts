import type { RemoteHost } from "./remote-host";

/** What the fences of a host have counted and logged. */
export interface HostLeaks {
  /** "family counter" to what it counted since the fence was made, or since the last boot. */
  readonly counted: ReadonlyMap<string, { readonly packets: number; readonly bytes: number }>;
  /** Lines of the kernel's log, oldest first, each with the object that wrote it. */
  readonly logged: readonly { readonly object: string; readonly line: string }[];
}

/** @throws HostError when the host cannot be reached */
export async function readLeaks(host: RemoteHost): Promise<HostLeaks> {
  const text = (await host.call("report", Buffer.alloc(0), { step: "read the leaks" })).toString("utf8");
  const lines = text.split("\n");
  return {
    counted: new Map(
      lines.flatMap((line) => {
        const [, name = "", packets, bytes] = /^counter (\S+ \S+) (\d+) (\d+)$/.exec(line) ?? [];
        return name === "" ? [] : [[name, { packets: Number(packets), bytes: Number(bytes) }] as const];
      }),
    ),
    logged: lines.flatMap((line) => {
      const [, rest = "", object = ""] = /^log (.*\bdrawbridge ([A-Za-z0-9_-]+): .*)$/.exec(line) ?? [];
      return object === "" ? [] : [{ object, line: rest }];
    }),
  };
}
