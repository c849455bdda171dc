import {
  allow as schema,
  compileAllow,
  completeAllow,
  expiredAllow,
  forwardsOfAllow,
  isOfDefaultDrop,
  reviewAllow,
} from "../core/netfilter/allow";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const allow = defineKind(schema, {
  kind: "Allow",
  ...madeOfFragments(["ip", "bridge"], compileAllow),
  complete: completeAllow,
  review: reviewAllow,
  expired: expiredAllow,
  refuse: () => [],
  forwards: forwardsOfAllow,
  note: (_object, _intent, { confirmedPaths }, declared) =>
    declared.has("DefaultDrop") || [...confirmedPaths].some(isOfDefaultDrop)
      ? undefined
      : "it lets packets through a DefaultDrop, and none stands on this host: without one, nothing is dropped anyway",
});
