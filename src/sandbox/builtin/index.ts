export { openBuiltinSandbox } from "./builtin.ts";
export { probeNamespaces, type RefusedCall } from "./probe-namespaces.ts";
export type { SandboxWarning, StepRunnerOptions } from "./step-runner.ts";
