import {
  compareSudoEffect,
  compileSudoRule,
  explainSudoRule,
  renderSudoersFile,
  reviewSudoRule,
  sudoersPath,
  sudoRule as schema,
  warnOfForeignRights,
} from "../core/sudoers/sudo-rule";
import { defineKind, linesOfRules } from "./spec";

export const sudoRule = defineKind(schema, {
  kind: "SudoRule",
  domain: "sudo",
  review: reviewSudoRule,
  rules: (_object, intent) => compileSudoRule(intent),
  lines: (_object, intent) => linesOfRules(compileSudoRule(intent), explainSudoRule(intent)),
  files: (header, intent) => [renderSudoersFile(header, intent)],
  paths: (object) => [sudoersPath(object)],
  refuse: () => [],
  drift: (object, intent, { effect, foreign }) => ({
    drift: compareSudoEffect(intent, effect.get(`drawbridge-${object}`)),
    present: () => false,
    warnings: warnOfForeignRights(intent, foreign.get(`drawbridge-${object}`)),
  }),
});
