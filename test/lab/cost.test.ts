import { setTimeout as sleep } from "node:timers/promises";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven } from "./drive";

const WAVES = 5;
const PER_WAVE = 8;

describe("what 40 resources cost a host", () => {
  let host: LabHost;

  beforeAll(async () => {
    host = await startHost({
      // sshd's own hook keeps the journal of all that is asked of the host.
      sshdOptions: [`ForceCommand=printf '%s\\n' "$SSH_ORIGINAL_COMMAND" >>/tmp/calls; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"`],
    });
    await host.run(
      `nft -f - <<'end'
        table ip count {
          counter opened { }
          chain input { type filter hook input priority 0; tcp dport 22 tcp flags & (syn | ack) == syn counter name opened; }
        }\nend`,
    );
  });
  afterAll(() => host.down());

  const resource = (index: number) =>
    Driven.create("SudoRule", `rule${index}`, { ...accessOf(host), users: ["myself"], commands: [{ path: "/usr/bin/id" }] });

  /** What was asked of the host, and how many connections were opened, while `work` lasted. */
  async function costOf<Answer>(work: () => Promise<Answer>) {
    await host.run("rm -f /tmp/calls; nft reset counter ip count opened >/dev/null");
    const answer = await work();
    const { stdout: calls } = await host.run("cat /tmp/calls");
    const { stdout: opened } = await host.run("nft list counter ip count opened");
    const of = (command: string) => calls.split("\n").filter((line) => line.includes(`drawbridge-host ${command} `)).length;
    return {
      answer,
      cost: {
        connections: Number(/packets (\d+)/.exec(opened)?.[1]),
        transactions: of("apply"),
        confirmations: of("confirm"),
        looks: of("snapshot"),
        // The look before the first change of a run.
        surveys: of("survey"),
      },
    };
  }

  test("one transaction and one new connection for each wave, one look for each refresh", async () => {
    const first = await costOf(() => resource(0));
    // The first survey finds no program.
    expect(first.cost).toEqual({ connections: 2, transactions: 1, confirmations: 1, looks: 0, surveys: 2 });
    const all = await costOf(async () => {
      const made: Driven[] = [];
      for (let wave = 0; wave < WAVES; wave++) {
        made.push(...(await Promise.all(Array.from({ length: PER_WAVE }, (_, index) => resource(1 + wave * PER_WAVE + index)))));
      }
      return made;
    });
    expect(all.cost).toEqual({ connections: WAVES, transactions: WAVES, confirmations: WAVES, looks: 0, surveys: 0 });
    const resources = [first.answer, ...all.answer];
    expect((await host.run("ls /etc/sudoers.d/drawbridge-* | wc -l")).stdout.trim()).toBe(String(1 + WAVES * PER_WAVE));

    for (const { refreshed, looks } of [
      { refreshed: 1, looks: 1 },
      { refreshed: resources.length, looks: 1 },
    ]) {
      await sleep(1_100);
      const { answer, cost } = await costOf(() => Promise.all(resources.slice(0, refreshed).map((each) => each.refresh())));
      expect(answer).toEqual(Array.from({ length: refreshed }, () => ({})));
      expect(cost).toEqual({ connections: 0, transactions: 0, confirmations: 0, looks, surveys: 0 });
    }

    const gone = await costOf(() => Promise.all(resources.map((each) => each.delete())));
    expect(gone.cost).toEqual({ connections: 1, transactions: 1, confirmations: 1, looks: 0, surveys: 0 });
  }, 120_000);
});
