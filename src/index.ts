export type { ConnectionArgs, HostArgs, ProxyConnectionArgs } from "./resources/connection";
export type { BridgePortUplink, LeakFenceArgs, LeakFenceException } from "./resources/leak-fence";
export { LeakFence } from "./resources/leak-fence";
export type { SudoCommand, SudoRuleArgs } from "./resources/sudo-rule";
export { SudoRule } from "./resources/sudo-rule";
