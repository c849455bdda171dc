import { compileDeny, deny as schema, expiredDeny, refuseDeny, reviewDeny } from "../core/netfilter/deny";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const deny = defineKind(schema, {
  kind: "Deny",
  ...madeOfFragments(["ip", "bridge"], compileDeny),
  review: reviewDeny,
  expired: expiredDeny,
  refuse: refuseDeny,
});
