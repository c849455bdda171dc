import { isOfDefaultDrop } from "../core/netfilter/allow";
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
    declared.has("OutputGuard") ||
    declared.has("DefaultDrop") ||
    [...confirmedPaths].some((path) => isOfGuard(path) || isOfDefaultDrop(path))
      ? undefined
      : "it opens ways through an OutputGuard or a DefaultDrop on output, and none stands on this host: without one, everybody may go there",
});
