import {
  awaitedByBridge,
  bridge as schema,
  bridgePaths,
  compareConfiguration,
  compileBridge,
  noteBridge,
  refuseBridge,
  renderBridge,
  reviewBridge,
} from "../core/links/bridge";
import { settingsOfLinks } from "../core/links/settings";
import { madeOfSettings } from "./settings";
import { defineKind } from "./spec";

export const bridge = defineKind(schema, {
  kind: "Bridge",
  ...madeOfSettings(settingsOfLinks, compileBridge, bridgePaths, { files: renderBridge, drift: compareConfiguration }),
  review: reviewBridge,
  refuse: refuseBridge,
  awaits: awaitedByBridge,
  note: (object, intent, { facts }) => noteBridge(object, intent, facts),
});
