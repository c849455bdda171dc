import {
  compileUserOutputChain,
  isOfGuard,
  reviewUserOutputChain,
  userOutputChain as schema,
} from "../core/netfilter/user-output-chain";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const userOutputChain = defineKind(schema, {
  kind: "UserOutputChain",
  ...madeOfFragments(["ip"], compileUserOutputChain),
  review: reviewUserOutputChain,
  refuse: () => [],
  note: (_object, _intent, { confirmedPaths }, declared) =>
    declared.has("OutputGuard") || [...confirmedPaths].some(isOfGuard)
      ? undefined
      : "it opens ways through an OutputGuard, and none stands on this host: without one, everybody may go there",
});
