import { addressSet } from "./address-set";
import { allow } from "./allow";
import { bridge } from "./bridge";
import { bridgePort } from "./bridge-port";
import { defaultDrop } from "./default-drop";
import { deny } from "./deny";
import { guardedFile } from "./guarded-file";
import { ipsecPolicyDrop } from "./ipsec-policy-drop";
import { leakFence } from "./leak-fence";
import { outputGuard } from "./output-guard";
import type { AnyKind } from "./spec";
import { sudoRule } from "./sudo-rule";
import { systemGroup } from "./system-group";
import { userOutputChain } from "./user-output-chain";

/** Every kind, by the name that stands in users' states. */
export const kinds: ReadonlyMap<string, AnyKind> = new Map(
  [
    addressSet,
    allow,
    bridge,
    bridgePort,
    defaultDrop,
    deny,
    guardedFile,
    ipsecPolicyDrop,
    leakFence,
    outputGuard,
    sudoRule,
    systemGroup,
    userOutputChain,
  ].map((spec) => [spec.kind, spec]),
);
