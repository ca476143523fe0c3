export * from "./errors.ts";
export type * from "./types.ts";
export { resolveOwner, resolveUser, type Owner } from "./users.ts";
export type { SandboxWarning } from "./builtin/index.ts";
export { openSandbox, type Isolation, type OpenSandboxOptions } from "./open.ts";
export { resourceNames } from "./builtin/resources.ts";
export { isFileMount } from "./mount-kind.ts";
export { writeNetworkFiles, type HostAddress } from "./network-files.ts";
export { effectiveCapabilities, inspectSandbox, type SandboxInspection } from "./inspect.ts";
