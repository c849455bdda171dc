import { bridge } from "./bridge";
import { bridgePort } from "./bridge-port";
import { guardedFile } from "./guarded-file";
import { leakFence } from "./leak-fence";
import type { AnyKind } from "./spec";
import { sudoRule } from "./sudo-rule";
import { systemGroup } from "./system-group";

/** Every kind, by the name that stands in users' states. */
export const kinds: ReadonlyMap<string, AnyKind> = new Map(
  [bridge, bridgePort, guardedFile, leakFence, sudoRule, systemGroup].map((spec) => [spec.kind, spec]),
);
