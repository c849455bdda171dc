import fc from "fast-check";
import { setTimeout as sleep } from "node:timers/promises";
import { closePool } from "../../dist/host/pool";
import { type LabHost, startHost } from "../../tools/lab";
import { objectOf } from "../contract/laws";
import { foreignTable, titled } from "../contract/samples";
import { type Part, Stack, standing, waitFor } from "./drill";
import { faults } from "./faults";
import { partsOfAllKinds, preparation, type SamplePart } from "./parts";

const [PRIVATE, PUBLIC] = ["10.8.8.8", "203.0.113.9"];
const STATES = ["none", "A", "B"] as const;
type State = (typeof STATES)[number];

/** What may happen to a host. Numbers choose among what there is, modulo. */
export type Event =
  | { readonly is: "change"; readonly to: readonly State[] }
  /** A change during which something happens after so many milliseconds. */
  | { readonly is: "hurt"; readonly to: readonly State[]; readonly afterMs: number; readonly by: number }
  | { readonly is: "tamper"; readonly part: number; readonly how: number }
  | { readonly is: "reboot" }
  | { readonly is: "colleague"; readonly to: "there" | "gone" };

const states = fc.array(fc.constantFrom(...STATES), { minLength: titled.length, maxLength: titled.length });

/** A life of some events, most of them changes. */
export const lives = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ is: fc.constant("change" as const), to: states }) },
    {
      weight: 3,
      arbitrary: fc.record({ is: fc.constant("hurt" as const), to: states, afterMs: fc.nat(4_000), by: fc.nat(1_000) }),
    },
    { weight: 2, arbitrary: fc.record({ is: fc.constant("tamper" as const), part: fc.nat(1_000), how: fc.nat(1_000) }) },
    { weight: 1, arbitrary: fc.record({ is: fc.constant("reboot" as const) }) },
    { weight: 1, arbitrary: fc.record({ is: fc.constant("colleague" as const), to: fc.constantFrom("there", "gone") }) },
  ),
  { minLength: 5, maxLength: 9 },
);

const colleagues: readonly Part[] = [
  {
    kind: "SudoRule",
    name: "of-a-colleague",
    id: "c".repeat(32),
    args: { there: { users: ["myself"], commands: [{ path: "/usr/bin/who" }] } },
  },
];

/** What ends by itself, or is mended at once, wherever a change stands; and the power. */
const accidents = [
  ...faults.filter(({ name, lasts }) => !lasts && !/another transaction|subshell/.test(name)),
  { name: "power off", strike: ({ host }: { readonly host: LabHost }) => reboot(host) },
];

/** What others keep there. The samples take the default route away. */
const foreign = `for to in ${PRIVATE} ${PUBLIC}; do ip route replace $to/32 via 198.18.0.1; done; ${foreignTable}; nft add set ip foreign seen '{ type ipv4_addr; }'; nft add element ip foreign seen '{ 192.0.2.77 }'`;

/** The machine comes again, and with it what others start: their rules, the network's own configuration, the guests' devices. */
async function reboot(host: LabHost): Promise<undefined> {
  // What is made anew here are cards and guests' devices, which have the same address each time.
  const { stdout: addresses } = await host.run(
    String.raw`ip -o link show | sed -n 's,^[0-9]*: \([^:@]*\)[:@].* link/ether \([^ ]*\) .*,ip link set \1 address \2 2>/dev/null,p'`,
  );
  await host.reboot();
  await host.run(
    `mkdir -p -m 700 /run/drill; ${foreign}\n${preparation}\n${addresses}\nifup -a 2>/dev/null; drawbridge-host load 2>/dev/null; true`,
  );
  return undefined;
}

/** Lives one life on a host of its own, and looks after each event whether every promise is kept. */
export async function live(events: readonly Event[], say: (text: string) => void): Promise<void> {
  // Addresses that moved come again by the host's own configuration, which no lab host reads: test/vm/move-addresses.test.ts.
  const parts = (await partsOfAllKinds()).filter(({ args }) => args["A"]?.["moveAddresses"] === undefined);
  const host = await startHost();
  try {
    await host.outside(`ip address replace ${PRIVATE}/32 dev labsw; ip address replace ${PUBLIC}/32 dev labsw`);
    await host.run(`mkdir -m 700 /run/drill; ${foreign}\n${preparation}
      echo 'mybro ALL=(root) NOPASSWD: /usr/bin/true' >/etc/sudoers.d/foreign && chmod 440 /etc/sudoers.d/foreign`);
    const life = new Life(host, parts);
    await life.begin();
    for (const event of events) {
      say(JSON.stringify(event));
      await life.happen(event);
      await life.look();
    }
    await life.end();
  } finally {
    closePool();
    await host.down();
  }
}

class Life {
  readonly #stack: Stack;
  readonly #colleague: Stack;
  #to: readonly State[];
  #colleagueTo = "gone";
  #bare = "";
  #foreign = "";

  constructor(
    readonly host: LabHost,
    readonly parts: readonly SamplePart[],
  ) {
    this.#stack = new Stack(host, parts, 10);
    this.#colleague = new Stack(host, colleagues, 10);
    this.#to = parts.map(() => "none");
  }

  async begin(): Promise<void> {
    this.#bare = await standing(this.host);
    this.#foreign = await this.#theirs();
    await this.#change(this.parts.map(() => "A"));
  }

  async happen(event: Event): Promise<void> {
    if (event.is === "change") await this.#change(event.to);
    else if (event.is === "hurt") await this.#hurt(event.to, event.afterMs, event.by);
    else if (event.is === "tamper") await this.#tamper(event.part, event.how);
    else if (event.is === "reboot") await reboot(this.host);
    else {
      expect(errorsOf(await this.#colleague.start(event.to).outcomes)).toEqual([]);
      this.#colleagueTo = event.to;
    }
  }

  /** What was asked stands, nothing else has changed, and the fence is shut to private addresses and to nothing else. */
  async look(): Promise<void> {
    await sleep(1_100);
    const found = await this.#stack.refresh((part) => this.#stateOf(part));
    expect(found).toEqual(
      Object.fromEntries(this.parts.map((part) => [part.name, this.#stateOf(part) === "none" ? "gone" : []])),
    );
    expect(await this.#colleague.refresh("there")).toEqual({ "of-a-colleague": this.#colleagueTo === "there" ? [] : "gone" });
    expect(await this.#theirs()).toBe(this.#foreign);
    const fenced = this.parts.some((part) => part.kind === "LeakFence" && this.#stateOf(part) !== "none");
    const pinged = [await this.#pings(PRIVATE), await this.#pings(PUBLIC)];
    expect(pinged).toEqual([!fenced, true]);
  }

  /** All goes, and the host is as it was. */
  async end(): Promise<void> {
    await this.#change(this.parts.map(() => "none"));
    expect(errorsOf(await this.#colleague.start("gone").outcomes)).toEqual([]);
    const [is, was] = [(await standing(this.host)).split("\n"), this.#bare.split("\n")];
    expect([is.filter((line) => !was.includes(line)), was.filter((line) => !is.includes(line))]).toEqual([[], []]);
  }

  #indexOf({ id }: Part): number {
    return this.parts.findIndex((part) => part.id === id);
  }

  #stateOf(part: Part): State {
    return this.#to[this.#indexOf(part)] ?? "none";
  }

  async #change(to: readonly State[]): Promise<void> {
    const provider = this.#stack.start((part) => to[this.#indexOf(part)] ?? "none");
    expect(errorsOf(await provider.outcomes)).toEqual([]);
    this.#to = to;
  }

  /** Each part stands in its old state or the new one, the next look says in which, and the next run ends right. */
  async #hurt(to: readonly State[], afterMs: number, by: number): Promise<void> {
    const accident = accidents[by % accidents.length];
    const provider = this.#stack.start((part) => to[this.#indexOf(part)] ?? "none");
    await sleep(afterMs);
    const heal = await accident?.strike({ host: this.host, provider, other: this.#colleague });
    await provider.outcomes;
    await heal?.();
    await waitFor("the host", 90, async () => {
      const { stdout } = await this.host.run(
        "drawbridge-host settle 2>/dev/null; ls -d /var/lib/drawbridge/txn/*/pending 2>/dev/null; true",
      );
      return stdout === "";
    });
    const before = this.#to;
    const [asNew, asOld] = [await this.#found(to), await this.#found(before)];
    for (const { name } of this.parts)
      expect([accident?.name, name, asNew[name] || asOld[name]]).toEqual([accident?.name, name, true]);
    await this.#change(to);
  }

  /** Which parts stand in these states. */
  async #found(to: readonly State[]): Promise<Record<string, boolean>> {
    const found = await this.#stack.refresh((part) => to[this.#indexOf(part)] ?? "none");
    return Object.fromEntries(
      this.parts.map(({ name }, index) => {
        const drift = found[name];
        return [name, to[index] === "none" ? drift === "gone" : drift !== "gone" && drift?.length === 0];
      }),
    );
  }

  /** Somebody's hand: refresh names it, twice, and the next run mends it. Only what stands as its sample says can be tampered with as that says. */
  async #tamper(number: number, how: number): Promise<void> {
    const standingAsSample = this.parts.filter((part) => this.#stateOf(part) === "A");
    const part = standingAsSample[number % Math.max(1, standingAsSample.length)];
    if (!part) return;
    const { tamperings } = part.sample;
    const tampering = tamperings[how % tamperings.length];
    const outputs = this.#stack.outputs(part);
    if (!tampering || part.isApart || !outputs) return;
    await this.host.run(tampering.script.replaceAll("OBJECT", objectOf({ outputs })));
    for (let time = 0; time < 2; time++) {
      await sleep(1_100);
      const drift = (await this.#stack.refresh((each) => this.#stateOf(each)))[part.name];
      for (const name of tampering.names)
        expect([part.kind, tampering.story, drift]).toEqual([
          part.kind,
          tampering.story,
          expect.arrayContaining([expect.stringMatching(name)]),
        ]);
    }
    await this.#change(this.#to);
    await this.host.run(
      `rm -f /etc/sudoers.d/zz-other /root/copy; nft list set ip foreign seen >/dev/null 2>&1 || { ${foreign}; }`,
    );
  }

  /** What is not ours. */
  async #theirs(): Promise<string> {
    return (
      await this.host.run(
        "nft -s list table ip foreign; cat /etc/sudoers.d/foreign /etc/sudoers.d/deploy; stat -c '%a %n' /etc/sudoers.d/*[!0-9a-f]",
      )
    ).stdout.replace(/^.*drawbridge.*\n/gm, "");
  }

  async #pings(address: string): Promise<boolean> {
    return (await this.host.run(`ping -n -c 1 -W 2 ${address} >/dev/null`, { allowFailure: true })).code === 0;
  }
}

const errorsOf = (outcomes: readonly { readonly error?: string }[] | undefined) =>
  outcomes === undefined ? ["the process ended without a word"] : outcomes.flatMap(({ error }) => error ?? []);
