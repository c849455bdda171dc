import { bridge } from "./bridge";
import { bridgePort } from "./bridge-port";
import { leakFence } from "./leak-fence";
import type { AnyKind } from "./spec";
import { sudoRule } from "./sudo-rule";

/** Every kind, by the name that stands in users' states. */
export const kinds: ReadonlyMap<string, AnyKind> = new Map(
  [bridge, bridgePort, leakFence, sudoRule].map((spec) => [spec.kind, spec]),
);
