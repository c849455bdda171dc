import {
  awaitedByPort,
  bridgePort as schema,
  bridgePortPaths,
  compileBridgePort,
  refuseBridgePort,
  reviewBridgePort,
} from "../core/links/bridge-port";
import { settingsOfLinks } from "../core/links/settings";
import { madeOfSettings } from "./settings";
import { defineKind } from "./spec";

export const bridgePort = defineKind(schema, {
  kind: "BridgePort",
  ...madeOfSettings(settingsOfLinks, compileBridgePort, bridgePortPaths),
  review: reviewBridgePort,
  refuse: refuseBridgePort,
  awaits: awaitedByPort,
});
