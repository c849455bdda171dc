import {
  compileGuardedFile,
  guardedFile as schema,
  guardedFilePaths,
  renderGuardedFile,
  reviewGuardedFile,
} from "../core/files/guarded-file";
import { settingsOfFiles } from "../core/files/settings";
import { madeOfSettings } from "./settings";
import { defineKind } from "./spec";

export const guardedFile = defineKind(schema, {
  kind: "GuardedFile",
  ...madeOfSettings(settingsOfFiles, compileGuardedFile, guardedFilePaths, { files: renderGuardedFile }),
  review: reviewGuardedFile,
  refuse: () => [],
});
