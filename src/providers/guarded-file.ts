import {
  compareGuardedFile,
  describeGuardedFile,
  explainGuardedFile,
  guardedFile as schema,
  guardedFilePath,
  renderGuardedFile,
  reviewGuardedFile,
} from "../core/files/guarded-file";
import { defineKind } from "./spec";

export const guardedFile = defineKind(schema, {
  kind: "GuardedFile",
  domain: "files",
  review: reviewGuardedFile,
  rules: (_object, intent) => describeGuardedFile(intent),
  explain: (_object, intent) => explainGuardedFile(intent),
  files: (header, intent) => [renderGuardedFile(header, intent)],
  paths: (object) => [guardedFilePath(object)],
  refuse: () => [],
  drift: (object, intent, snapshot) => ({
    drift: compareGuardedFile(intent, snapshot),
    present: snapshot.confirmed.has(guardedFilePath(object)),
  }),
});
