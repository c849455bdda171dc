import {
  awaitedByBridge,
  bridge as schema,
  bridgePaths,
  compareBridge,
  describeBridge,
  explainBridge,
  noteBridge,
  refuseBridge,
  renderBridge,
  reviewBridge,
} from "../core/links/bridge";
import { defineKind } from "./spec";

export const bridge = defineKind(schema, {
  kind: "Bridge",
  domain: "links",
  review: reviewBridge,
  rules: (_object, intent) => describeBridge(intent),
  explain: (_object, intent) => explainBridge(intent),
  files: renderBridge,
  paths: bridgePaths,
  refuse: refuseBridge,
  awaits: awaitedByBridge,
  note: (object, intent, { facts }) => noteBridge(object, intent, facts),
  drift: (object, intent, snapshot) => ({
    drift: compareBridge(intent, snapshot),
    present: bridgePaths(object).some((path) => snapshot.confirmed.has(path)),
  }),
});
