import { compileDefaultDrop, defaultDrop as schema, refuseDefaultDrop, reviewDefaultDrop } from "../core/netfilter/default-drop";
import { wantedAllows } from "../core/netfilter/wanted-allows";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const defaultDrop = defineKind(schema, {
  kind: "DefaultDrop",
  ...madeOfFragments(["ip"], compileDefaultDrop),
  review: reviewDefaultDrop,
  refuse: refuseDefaultDrop,
  wanted: wantedAllows,
});
