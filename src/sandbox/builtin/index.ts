export { openBuiltinSandbox } from "./builtin.ts";
export type { BuiltinSandboxOptions, SandboxWarning } from "./builtin.ts";
