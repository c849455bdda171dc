export type { AddressSetArgs, AddressSetFile } from "./resources/address-set";
export { AddressSet } from "./resources/address-set";
export type { AllowArgs } from "./resources/allow";
export { Allow } from "./resources/allow";
export type { BridgeArgs } from "./resources/bridge";
export { Bridge } from "./resources/bridge";
export type { BridgePortArgs } from "./resources/bridge-port";
export { BridgePort } from "./resources/bridge-port";
export type { ConnectionArgs, HostArgs, ProxyConnectionArgs } from "./resources/connection";
export type { Basics, DefaultDropArgs, DefaultDropLog, Management, Servers } from "./resources/default-drop";
export { DefaultDrop } from "./resources/default-drop";
export type { DenyArgs } from "./resources/deny";
export { Deny } from "./resources/deny";
export type { GuardedFileArgs } from "./resources/guarded-file";
export { GuardedFile } from "./resources/guarded-file";
export type { IpsecPolicyDropArgs } from "./resources/ipsec-policy-drop";
export { IpsecPolicyDrop } from "./resources/ipsec-policy-drop";
export type {
  BridgePortUplink,
  LeakFenceArgs,
  LeakFenceException,
  PrefixException,
  SetException,
  Network,
} from "./resources/leak-fence";
export { LeakFence } from "./resources/leak-fence";
export type { OutputGuardArgs } from "./resources/output-guard";
export { OutputGuard } from "./resources/output-guard";
export type { SudoCommand, SudoRuleArgs } from "./resources/sudo-rule";
export { SudoRule } from "./resources/sudo-rule";
export type { SystemGroupArgs } from "./resources/system-group";
export { SystemGroup } from "./resources/system-group";
export type { UserOutputAllowance, UserOutputChainArgs, Weekday, WeeklyWindow } from "./resources/user-output-chain";
export { UserOutputChain } from "./resources/user-output-chain";
export type { Addresses, Opening, Rate, Traffic } from "./resources/traffic";
