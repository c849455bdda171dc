import {
  compareSystemGroup,
  describeSystemGroup,
  explainSystemGroup,
  renderSystemGroup,
  reviewSystemGroup,
  systemGroup as schema,
  systemGroupPath,
} from "../core/accounts/system-group";
import { defineKind } from "./spec";

export const systemGroup = defineKind(schema, {
  kind: "SystemGroup",
  domain: "accounts",
  review: reviewSystemGroup,
  rules: (_object, intent) => describeSystemGroup(intent),
  explain: (_object, intent) => explainSystemGroup(intent),
  files: (header, intent) => [renderSystemGroup(header, intent)],
  paths: (object) => [systemGroupPath(object)],
  refuse: () => [],
  drift: (object, intent, snapshot) => ({
    drift: compareSystemGroup(intent, snapshot),
    present: snapshot.confirmed.has(systemGroupPath(object)),
  }),
});
