import { type LabHost, startHost } from "../../tools/lab";
import { accessOf, Driven } from "./drive";

const SERVER = "203.0.113.2";
const USERS = 100;
const RULES = 10;

let host: LabHost;

beforeAll(async () => {
  host = await startHost();
  await host.run(`for n in $(seq ${USERS}); do useradd -M u$n; done`);
});
afterAll(() => host.down());

/** How many of our rules a packet of root's meets on its way out to a port: what nft's own trace tells. */
async function rulesMet(port: number): Promise<string[]> {
  const { stdout } = await host.run(`
    nft 'add table inet watch { chain output { type filter hook output priority -400; udp dport ${port} meta nftrace set 1; }; }'
    timeout 20 nft monitor trace >/tmp/trace & watcher=$!
    # The watcher is ready when it shows a packet.
    for i in $(seq 100); do
      echo x | timeout 1 nc -u -w 0 ${SERVER} ${port}
      grep -q 'inet watch output' /tmp/trace && break
      sleep 0.1
    done
    sleep 0.5; kill $watcher; nft delete table inet watch; cat /tmp/trace`);
  const [first] = /^trace id (\S+)/m.exec(stdout)?.slice(1) ?? [];
  expect(first).toBeDefined();
  return stdout.split("\n").filter((line) => line.startsWith(`trace id ${first} inet drawbridge`) && line.includes(" rule "));
}

test("a thousand rules of a hundred users stand in nobody's way to other ports", async () => {
  const guard = await Driven.create("OutputGuard", "guard", { ...accessOf(host), ports: ["20001-20010"], protocol: "udp" });
  const chain = (n: number, rules: number) =>
    Driven.create("UserOutputChain", `user-${n}`, {
      ...accessOf(host),
      user: `u${n}`,
      allow: Array.from({ length: rules }, (_, index) => ({
        to: `192.0.2.${index + 1}`,
        ports: [20001 + index],
        protocol: "udp",
      })),
    });
  const made = [await chain(1, 1)];
  const [freeBefore, guardedBefore] = [await rulesMet(53), await rulesMet(20001)];
  // The control: the trace sees our rules at all, and more of them where the guard stands.
  expect(freeBefore.length).toBeGreaterThan(0);
  expect(guardedBefore.length).toBeGreaterThan(freeBefore.length);

  made.push(...(await Promise.all(Array.from({ length: USERS - 1 }, (_, index) => chain(index + 2, RULES)))));
  await made[0]?.up({ ...accessOf(host), user: "u1", allow: [{ to: "192.0.2.1", ports: ["20001-20010"], protocol: "udp" }] });
  expect((await rulesMet(53)).length).toBe(freeBefore.length);
  expect((await rulesMet(20001)).length).toBe(guardedBefore.length);
  await Promise.all([...made, guard].map((resource) => resource.delete()));
});
