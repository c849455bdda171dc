import { connect } from "node:net";
import fc from "fast-check";
import { RemoteHost } from "../../dist/host/remote-host";
import { type LabHost, startHost } from "../../tools/lab";
import { lockingOut } from "../contract/policies";
import { accessOf, closeConnections, Driven } from "../lab/drive";

/** A hundred take ten minutes. */
const POLICIES = process.env["DRAWBRIDGE_DRILLS"] === "all" ? 100 : 5;
const SEED = Number(process.env["DRAWBRIDGE_SEED"] ?? 1);
const DEADLINE_SECONDS = 4;

let host: LabHost;

beforeAll(async () => {
  host = await startHost();
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(async () => {
  closeConnections();
  await host.down();
});

/** Whether somebody comes in from where we are. */
const comesIn = () =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host: host.address, port: 22, timeout: 1500 });
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("data", end(true)).once("timeout", end(false)).once("error", end(false));
  });

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

test(
  `${POLICIES} random default drops that let in others only are rolled back, each within its deadline`,
  async () => {
    const before = await host.fingerprint();
    const policies = fc.sample(lockingOut, { numRuns: POLICIES, seed: SEED });
    for (const [index, policy] of policies.entries()) {
      expect(await comesIn()).toBe(true);
      // The control: before the host rolls it back, nobody comes in.
      let isLockedOut: boolean | undefined;
      jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementationOnce(async function (this: RemoteHost, deadline) {
        isLockedOut = !(await comesIn());
        await this.reconnect(deadline);
      });
      const began = Date.now();
      const tried = Driven.create("DefaultDrop", `policy-${index}`, {
        ...accessOf(host),
        ...policy,
        force: true,
        confirmDeadlineSeconds: DEADLINE_SECONDS,
      });
      expect({ policy, tried: await tried.then(String, messageOf) }).toEqual({
        policy,
        tried: expect.stringMatching(
          /the host rolled it back after 4 s[^]*its rule "(dropped|reset|refused)" has met/,
        ) as unknown,
      });
      jest.restoreAllMocks();
      expect({ policy, isLockedOut, isBack: await comesIn() }).toEqual({ policy, isLockedOut: true, isBack: true });
      // The deadline, and what the undo takes on a busy machine.
      expect(Date.now() - began).toBeLessThan((DEADLINE_SECONDS + 30) * 1000);
      closeConnections();
    }
    expect(await host.fingerprint()).toBe(before);
  },
  POLICIES * 60_000,
);
