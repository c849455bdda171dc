import { compileOutputGuard, outputGuard as schema, reviewOutputGuard } from "../core/netfilter/output-guard";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const outputGuard = defineKind(schema, {
  kind: "OutputGuard",
  ...madeOfFragments(["ip"], compileOutputGuard),
  review: reviewOutputGuard,
  refuse: () => [],
});
