import { HostError } from "../../dist/core/errors";
import { RemoteHost } from "../../dist/host/remote-host";
import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, check, Driven, type Props } from "./drive";

/** As a network that fails from one moment to the next: neither the confirmation nor the question for the result gets through. */
function cutTheWire(): void {
  jest.spyOn(RemoteHost.prototype, "reconnect").mockImplementation(function (this: RemoteHost) {
    return Promise.reject(new HostError({ code: "unreachable", host: this.name, step: "connect", reason: "no route to host" }));
  });
}

describe("an outcome that nobody knows", () => {
  let host: LabHost;
  beforeAll(async () => {
    host = await startHost();
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(() => host.down());

  test("is kept in the state as a partial create, and the next refresh tells what became of it", async () => {
    const before = await host.fingerprint();
    cutTheWire();
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

  test("is kept in the state as a partial update, which the next up makes right, even one that changes no rule", async () => {
    const args = { ...accessOf(host), users: ["myself"], commands: [{ path: "/usr/bin/id" }], confirmDeadlineSeconds: 3 };
    const edits: readonly Props[] = [{ nopasswd: true }, { confirmDeadlineSeconds: 4 }];
    const resources = await Promise.all(edits.map((_, index) => Driven.create("SudoRule", `updated${index}`, args)));
    const before = await host.fingerprint();
    const confirmed = resources.map(({ outputs }) => outputs["applied"]);
    cutTheWire();
    const failures = await Promise.all(
      resources.map((resource, index) => resource.up({ ...args, ...edits[index] }).catch((error: unknown) => error)),
    );
    jest.restoreAllMocks();
    expect(await host.fingerprint()).toBe(before);

    for (const [index, resource] of resources.entries()) {
      expect(failures[index]).toMatchObject({
        id: resource.id,
        reasons: [expect.stringContaining("neither confirmed nor seen undone") as unknown],
        properties: { ...edits[index], applied: confirmed[index], unconfirmed: true },
      });
      // What the engine does with it.
      resource.outputs = (failures[index] as { properties: Props }).properties;
      const { inputs } = await check("SudoRule", resource.name, { ...args, ...edits[index] });
      expect(await resource.diff(inputs)).toEqual({ changes: true });
      const { unconfirmed, ...others } = resource.outputs;
      expect(unconfirmed).toBe(true);
      // Where no rule differs, the mark alone says it.
      const marked = edits[index]?.["nopasswd"] === undefined;
      resource.outputs = others;
      expect(await resource.diff(inputs)).toEqual({ changes: !marked });
      resource.outputs = { ...others, unconfirmed };
    }

    const refreshed = await Promise.all(resources.map((resource) => resource.refresh()));
    expect(refreshed).toEqual([{}, {}]);
    for (const [index, resource] of resources.entries()) {
      expect(await resource.up({ ...args, ...edits[index] })).toBe(true);
      expect(resource.outputs).not.toHaveProperty("unconfirmed");
      expect(resource.outputs).toMatchObject(edits[index] ?? {});
      expect(await resource.up({ ...args, ...edits[index] })).toBe(false);
    }
    const rights = await host.run("sudo -l -U myself");
    expect(rights.stdout).toContain("(root) NOSETENV: EXEC: NOPASSWD: /usr/bin/id");
    await Promise.all(resources.map((resource) => resource.delete()));
  }, 120_000);
});
