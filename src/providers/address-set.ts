import {
  addressSet as schema,
  compileAddressSet,
  fileOfAddressSet,
  LAYERS,
  MOST_FILES,
  readAddressSet,
  reviewAddressSet,
  rulesOfAddressSet,
} from "../core/netfilter/address-set";
import { madeOfFragments } from "./netfilter";
import { defineKind } from "./spec";

export const addressSet = defineKind(schema, {
  kind: "AddressSet",
  ...madeOfFragments(LAYERS, compileAddressSet, MOST_FILES),
  rules: rulesOfAddressSet,
  beside: { property: "file", path: fileOfAddressSet, read: readAddressSet },
  review: reviewAddressSet,
  refuse: () => [],
});
