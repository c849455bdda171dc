import {
  awaitedByIpsecPolicyDrop,
  compileIpsecPolicyDrop,
  ipsecPolicyDrop as schema,
  reviewIpsecPolicyDrop,
} from "../core/netfilter/ipsec-policy-drop";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const ipsecPolicyDrop = defineKind(schema, {
  kind: "IpsecPolicyDrop",
  ...madeOfFragments(["ip"], compileIpsecPolicyDrop),
  review: reviewIpsecPolicyDrop,
  refuse: () => [],
  awaits: awaitedByIpsecPolicyDrop,
});
