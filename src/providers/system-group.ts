import { compileSystemGroup, reviewSystemGroup, systemGroup as schema, systemGroupPaths } from "../core/accounts/system-group";
import { settingsOfGroups } from "../core/files/settings";
import { madeOfSettings } from "./settings";
import { defineKind } from "./spec";

export const systemGroup = defineKind(schema, {
  kind: "SystemGroup",
  ...madeOfSettings(settingsOfGroups, compileSystemGroup, systemGroupPaths),
  review: reviewSystemGroup,
  refuse: () => [],
});
