export type { BridgeArgs } from "./resources/bridge";
export { Bridge } from "./resources/bridge";
export type { BridgePortArgs } from "./resources/bridge-port";
export { BridgePort } from "./resources/bridge-port";
export type { ConnectionArgs, HostArgs, ProxyConnectionArgs } from "./resources/connection";
export type { BridgePortUplink, LeakFenceArgs, LeakFenceException } from "./resources/leak-fence";
export { LeakFence } from "./resources/leak-fence";
export type { SudoCommand, SudoRuleArgs } from "./resources/sudo-rule";
export { SudoRule } from "./resources/sudo-rule";
