import {
  compileDefaultDrop,
  completeDefaultDrop,
  defaultDrop as schema,
  expiredDefaultDrop,
  refuseDefaultDrop,
  reviewDefaultDrop,
} from "../core/netfilter/default-drop";
import { warnOfBridges } from "../core/netfilter/others-bridges";
import { wantedAllows } from "../core/netfilter/wanted-allows";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const defaultDrop = defineKind(schema, {
  kind: "DefaultDrop",
  ...madeOfFragments(["ip", "bridge"], compileDefaultDrop),
  complete: completeDefaultDrop,
  review: reviewDefaultDrop,
  expired: expiredDefaultDrop,
  refuse: refuseDefaultDrop,
  warn: (intent, { facts }, forwarded) => warnOfBridges(intent, facts, forwarded),
  wanted: wantedAllows,
});
