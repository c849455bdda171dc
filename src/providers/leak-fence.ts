import {
  awaitedByLeakFence,
  compileLeakFence,
  leakFence as schema,
  refuseLeakFence,
  reviewLeakFence,
} from "../core/netfilter/leak-fence";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const leakFence = defineKind(schema, {
  kind: "LeakFence",
  ...madeOfFragments(["ip", "bridge", "device"], compileLeakFence),
  review: reviewLeakFence,
  refuse: refuseLeakFence,
  awaits: awaitedByLeakFence,
});
