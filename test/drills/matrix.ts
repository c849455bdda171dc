import { closePool } from "../../dist/host/pool";
import { type LabHost, startHost } from "../../tools/lab";
import { isConfirmed, isOfUndo, type Outcome, type Part, Stack, standing, steps, untilReached, untilSettled } from "./drill";
import { cut, type Fault, faults } from "./faults";
import { partsOfAllKinds, preparation } from "./parts";

const DEADLINE = 8;
const elsewhere: readonly Part[] = [
  {
    kind: "SudoRule",
    name: "of-a-colleague",
    id: "c".repeat(32),
    args: { there: { users: ["myself"], commands: [{ path: "/usr/bin/who" }] } },
  },
];

interface Cell {
  readonly step: string;
  readonly fault: Fault;
}

/** Every step with every fault, or as many as it takes that each step and each fault comes by. */
export function cells(all: boolean): readonly Cell[] {
  const rows = steps.map((step, row) => {
    // Each row begins with another fault, so that none meets the same two states at every step.
    const turned = [...faults.slice(row % faults.length), ...faults.slice(0, row % faults.length)];
    return turned.slice(0, all ? turned.length : 1).map((fault) => ({ step, fault }));
  });
  return rows.flat();
}

/** The lines of one look that the other has not. */
function different(look: string, wanted = ""): readonly string[] {
  const [is, shall] = [new Set(look.split("\n")), new Set(wanted.split("\n"))];
  return [
    ...[...is].filter((line) => !shall.has(line)).map((line) => `+ ${line}`),
    ...[...shall].filter((line) => !is.has(line)).map((line) => `- ${line}`),
  ];
}

/** A share of the cells as tests, one after the other on one host. */
export function drill(share: number, shares: number): void {
  describe("a transaction over all kinds", () => {
    let host: LabHost;
    let parts: readonly Part[];
    let stack: Stack;
    let other: Stack;
    /** How the host looks in each state when nothing goes wrong. */
    const looks = new Map<string, string>();
    const order = ["none", "A", "B"];
    let at = 0;
    let longest = 0;

    beforeAll(async () => {
      host = await startHost();
      await host.run(`
        for folder in /etc /var/lib; do
          mount -t tmpfs -o mode=755,size=$(($(du -sk $folder | cut -f1) + 8000))k tmpfs /mnt
          cp -a $folder/. /mnt/ && mount --move /mnt $folder
        done
        ${preparation}
        mkdir -m 700 /run/drill`);
      parts = await partsOfAllKinds();
      stack = new Stack(host, parts, DEADLINE);
      other = new Stack(host, elsewhere, DEADLINE);
      looks.set("none", await standing(host));
      for (const state of ["A", "B", "none", "A", "B", "none"]) {
        expect(errorsOf(await stack.start(state).outcomes)).toEqual([]);
        const look = await standing(host);
        // The control: each state looks as it did the time before, and no two alike.
        if (looks.has(state)) expect(different(look, looks.get(state))).toEqual([]);
        looks.set(state, look);
      }
      expect(new Set(looks.values()).size).toBe(3);
    }, 180_000);
    afterAll(async () => {
      closePool();
      await host.down();
      process.stderr.write(`longest time until a host had settled: ${(longest / 1000).toFixed(1)} s\n`);
    });

    const errorsOf = (outcomes: readonly Outcome[] | undefined) =>
      outcomes === undefined ? ["no outcome"] : outcomes.flatMap(({ error }) => error ?? []);
    const release = () => host.run("rm -f /run/drill/at /run/drill/reached");

    /** Brings the transaction to the step, by way of a confirmation that does not get through where the step is the undo's. */
    async function stopAt(step: string): Promise<(() => Promise<unknown>) | undefined> {
      await untilReached(host, step);
      if (!isOfUndo(step)) return undefined;
      const mend = await cut(host, "undo");
      await host.run(`echo ${step} >/run/drill/at; rm /run/drill/reached`);
      await untilReached(host, step);
      return mend;
    }

    let isHurt = false;
    const mine = cells(process.env["DRAWBRIDGE_DRILLS"] === "all").filter((_, index) => index % shares === share);
    test.each(mine.map(({ step, fault }) => [step, fault.name, fault] as const))("%s: %s", async (step, _name, fault) => {
      const from = order[at % order.length] ?? "";
      const to = order[(at + 1) % order.length] ?? "";
      at += 1;
      // What one cell has broken is not the next one's failure.
      if (isHurt) {
        await release();
        await stack.refresh(from);
        for (const state of ["none", ...order.slice(1, order.indexOf(from) + 1)]) await stack.start(state).outcomes;
      }
      isHurt = true;
      await host.run(`echo ${isOfUndo(step) ? "applied" : step} >/run/drill/at`);
      const provider = stack.start(to);
      const mendUndo = await stopAt(step);
      const started = Date.now();
      const heal = await fault.strike({ host, provider, other });
      await release();
      if (fault.lasts || (isOfUndo(step) && !fault.killsHost && heal === undefined)) await untilSettled(host);
      await mendUndo?.();
      if (fault.lasts) await heal?.();
      const outcomes = await provider.outcomes;
      if (!fault.lasts) await heal?.();
      // By itself, unless there is nobody left to do it.
      if (!fault.killsHost && heal === undefined) await untilSettled(host);
      longest = Math.max(longest, Date.now() - started);

      const found = await stack.refresh(to);
      const isNew = parts.map(({ name, args }) => (args[to] === undefined ? found[name] === "gone" : found[name]?.length === 0));
      const said = provider.ids.map((id, index) => ({
        isNew: isNew[parts.findIndex((part) => part.id === id)],
        ...outcomes?.[index],
      }));
      // Whoever was told something was told the truth.
      for (const { isNew: stands, error, code, reasons = [], ...others } of outcomes === undefined ? [] : said) {
        const text = code ?? (reasons.join() || error);
        if (text === undefined) expect({ stands, ...others }).toMatchObject({ stands: true });
        else if (!/unknown|neither confirmed/.test(text)) expect({ stands, text }).toMatchObject({ stands: false });
      }
      // One transaction stands or does not, over all layers. Only where it was undone may its parts have been tried apart.
      const look = await standing(host);
      if (new Set(isNew).size === 1) {
        const is = isNew[0] ? to : from;
        expect({ from, to, is, lines: different(look, looks.get(is)) }).toEqual({ from, to, is, lines: [] });
      } else expect(said).toContainEqual(expect.objectContaining({ isNew: false, error: expect.anything() as unknown }));
      if (isConfirmed(step)) expect({ to, said, isNew }).toMatchObject({ isNew: isNew.map(() => true) });

      expect(errorsOf(await stack.start(to).outcomes)).toEqual([]);
      expect(different(await standing(host), looks.get(to))).toEqual([]);
      isHurt = false;
    });
  });
}
