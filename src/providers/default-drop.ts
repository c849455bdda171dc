import {
  compileDefaultDrop,
  completeDefaultDrop,
  defaultDrop as schema,
  expiredDefaultDrop,
  refuseDefaultDrop,
  reviewDefaultDrop,
} from "../core/netfilter/default-drop";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const defaultDrop = defineKind(schema, {
  kind: "DefaultDrop",
  ...madeOfFragments(["ip"], compileDefaultDrop),
  complete: completeDefaultDrop,
  review: reviewDefaultDrop,
  expired: expiredDefaultDrop,
  refuse: refuseDefaultDrop,
});
