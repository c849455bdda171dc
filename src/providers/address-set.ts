import { addressSet as schema, compileAddressSet } from "../core/netfilter/address-set";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const addressSet = defineKind(schema, {
  kind: "AddressSet",
  ...madeOfFragments(["ip"], compileAddressSet),
  review: () => [],
  refuse: () => [],
});
