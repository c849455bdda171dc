import { HostError } from "../../dist/core/errors";
import { RemoteHost } from "../../dist/host/remote-host";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven } from "./drive";

describe("an outcome that nobody knows", () => {
  let host: LabHost;
  beforeAll(async () => {
    host = await startHost();
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(() => host.down());

  test("is kept in the state as a partial create, and the next refresh tells what became of it", async () => {
    const before = await host.fingerprint();
    // As a network that fails from one moment to the next: neither the confirmation nor the question for the result gets through.
    jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementation(function (this: RemoteHost) {
      return Promise.reject(new HostError({ code: "unreachable", host: this.name, step: "connect", reason: "no route to host" }));
    });
    const args = { ...accessOf(host), users: ["myself"], commands: [{ path: "/usr/bin/id" }], confirmDeadlineSeconds: 3 };
    const failure: unknown = await Driven.create("SudoRule", "unknown", args).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
      reasons: [expect.stringContaining("neither confirmed nor seen undone") as unknown],
      properties: { users: ["myself"], __origin: { name: "unknown" } },
    });
    const { properties } = failure as { properties: object };
    expect(JSON.parse(JSON.stringify(properties))).toStrictEqual(properties);
    jest.restoreAllMocks();
    expect(await host.fingerprint()).toBe(before);
  }, 90_000);
});
