import { allow, reviewAllow } from "../../src/core/netfilter/allow";
import { defaultDrop, reviewDefaultDrop } from "../../src/core/netfilter/default-drop";
import { forgottenAfterSeconds } from "../../src/core/values/rate";

const properties = (problems: readonly { property: string }[]) => problems.map(({ property }) => property).join();
const ofAllow = (args: object) => properties(reviewAllow(allow.parse({ hook: "input", ...args })));
const ofDrop = (args: object) => properties(reviewDefaultDrop(defaultDrop.parse({ hook: "forward", ...args })));

const RATE = { connections: 10, per: "minute" };

test.each([
  [{ ...RATE, burst: 5 }, 30],
  [{ connections: 1, per: "day", burst: 10_000 }, 864_000_000],
  [{ connections: 1_000_000, per: "second", burst: 1 }, 1],
] as const)("whoever may open %j is forgotten after %i seconds", (rate, seconds) =>
  expect(forgottenAfterSeconds({ ...rate, per: rate.per as "day" })).toBe(seconds),
);

test.each([
  { connections: 0 },
  { connections: 1.5 },
  { connections: 1_000_001 },
  { per: "week" },
  { burst: 0 },
  { burst: 10_001 },
  { x: 1 },
])("a rate with %j is refused", (part) =>
  expect(allow.safeParse({ hook: "input", protocol: "tcp", rate: { ...RATE, ...part } }).success).toBe(false),
);

test("a rate wants connections to be followed", () => {
  expect(ofAllow({ protocol: "tcp", rate: RATE })).toBe("");
  const args = { allow: [{ protocol: "tcp" }, { protocol: "tcp", rate: RATE }] };
  expect(ofDrop(args)).toBe("");
  expect(ofDrop({ ...args, established: false })).toBe("allow[1].rate");
});
