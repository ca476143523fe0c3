export { assembleConfig } from "./assemble.ts";
export type { ConnectAgent } from "./mounts/agent-proxy.ts";
export type { BuildEnvironment } from "./environment.ts";
export { buildError, type BuildErrorCode } from "./errors.ts";
export { solve, type Solution, type SolvedStep } from "./solve.ts";
export { StepLog, type Step } from "./steps.ts";
