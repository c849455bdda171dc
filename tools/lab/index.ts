export { ordered } from "./fingerprint";
export type { GuestOptions, LabGuest } from "./guest";
export { type HostOptions, type LabHost, startHost } from "./host";
export type { RunOptions, RunResult } from "./process";
export { clientKeyPassphrase, clientKeyPath, clientKeyPathEncrypted } from "./world";
export { startVm, type Vm, type VmOptions } from "./vm";
