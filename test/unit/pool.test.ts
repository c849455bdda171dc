import { setTimeout as sleep } from "node:timers/promises";
import { pooledHost } from "../../src/host/pool";
import { RemoteHost } from "../../src/host/remote-host";
import * as transaction from "../../src/host/transaction";

afterEach(() => jest.restoreAllMocks());

/** A host on which every transaction succeeds; answers how many changes each had. */
function transactions(): number[] {
  const sizes: number[] = [];
  jest.spyOn(RemoteHost.prototype, "spaceOut").mockResolvedValue();
  jest.spyOn(transaction, "transact").mockImplementation((_host, changes) => {
    sizes.push(changes.length);
    return Promise.resolve(new Map(changes.map((change) => [change, { machine: "m" } as transaction.Applied])));
  });
  return sizes;
}

const change = (): transaction.Change => ({
  label: "",
  action: "created",
  object: "",
  owner: "",
  puts: [],
  keeps: [],
  drops: [],
  held: [],
  deadlineSeconds: 1,
  changesFacts: false,
  adopt: false,
  onStatus: () => undefined,
});

test("changes that are asked for together are one transaction", async () => {
  const sizes = transactions();
  const host = pooledHost({ connection: { host: "192.0.2.1" } });
  const all = [host.change(change()), sleep(5).then(() => host.change(change())), sleep(10).then(() => host.change(change()))];
  await Promise.all(all);
  expect(sizes).toEqual([3]);
});

test("changes that never cease to come do not keep the first one waiting", async () => {
  const sizes = transactions();
  const host = pooledHost({ connection: { host: "192.0.2.2" } });
  const all: Promise<unknown>[] = [];
  for (const end = Date.now() + 30_000; sizes.length < 3 && Date.now() < end; await sleep(2)) all.push(host.change(change()));
  expect(sizes).toHaveLength(3);
  await Promise.all(all);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(all.length);
});

test("what several changes of one question need comes with it once", async () => {
  const asked: string[][] = [];
  jest.spyOn(transaction, "preflight").mockImplementation((_host, changes, beside) => {
    asked.push([changes, beside].map((all) => all.map(({ object }) => object).join(" ")));
    return Promise.resolve(new Map());
  });
  const host = pooledHost({ connection: { host: "192.0.2.3" } });
  const needs = () => ["group-a", "group-b"].map((object) => ({ ...change(), object }));
  await Promise.all(["one", "two", "three"].map((object) => host.preflight({ ...change(), object }, needs())));
  expect(asked).toEqual([["one two three", "group-a group-b"]]);
});
