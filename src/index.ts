export type { ConnectionArgs, HostArgs, ProxyConnectionArgs } from "./resources/connection";
export { type BridgePortUplink, LeakFence, type LeakFenceArgs, type LeakFenceException } from "./resources/leak-fence";
export { type SudoCommand, SudoRule, type SudoRuleArgs } from "./resources/sudo-rule";
