import {
  awaitedByPort,
  bridgePort as schema,
  bridgePortPath,
  compareBridgePort,
  describeBridgePort,
  explainBridgePort,
  refuseBridgePort,
  renderBridgePort,
  reviewBridgePort,
} from "../core/links/bridge-port";
import { defineKind } from "./spec";

export const bridgePort = defineKind(schema, {
  kind: "BridgePort",
  domain: "links",
  review: reviewBridgePort,
  rules: (_object, intent) => describeBridgePort(intent),
  explain: (_object, intent) => explainBridgePort(intent),
  files: (header, intent) => [renderBridgePort(header, intent)],
  paths: (object) => [bridgePortPath(object)],
  refuse: refuseBridgePort,
  awaits: awaitedByPort,
  drift: (object, intent, snapshot) => ({
    drift: compareBridgePort(intent, snapshot),
    present: snapshot.confirmed.has(bridgePortPath(object)),
  }),
});
