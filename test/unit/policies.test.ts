import fc from "fast-check";
import { defaultDrop, refuseDefaultDrop, reviewDefaultDrop } from "../../src/core/netfilter/default-drop";
import { harmless, lockingOut } from "../contract/policies";
import { surveyOf } from "./survey";

/** A lab host, reached over SSH. */
const host = surveyOf({
  services: [{ what: "peer", address: "198.18.0.1", device: "eth0", source: "198.18.0.10" }],
  sshPort: 22,
});

const refused = (args: object) => {
  const intent = defaultDrop.parse(args);
  return [...reviewDefaultDrop(intent), ...refuseDefaultDrop(intent, host)];
};

test("of 1,000 policies that let in who applies them, none is refused", () => {
  fc.assert(
    fc.property(harmless, (args) => {
      expect(refused(args)).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});

test("of 1,000 that let in others only, all are refused, and none with `force`", () => {
  fc.assert(
    fc.property(lockingOut, (args) => {
      expect(refused(args).map(({ property }) => property)).toEqual(["management.sources"]);
      expect(refused({ ...args, force: true })).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});
