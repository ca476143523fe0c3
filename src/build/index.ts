export { assembleConfig } from "./assemble.ts";
export { readBinfmt } from "./binfmt.ts";
export { serveAgent, type AgentProxy, type ConnectAgent } from "./mounts/agent-proxy.ts";
export type { BuildEnvironment } from "./environment.ts";
export { buildError, type BuildErrorCode } from "./errors.ts";
export { authorizationFor } from "./ops/http.ts";
export { openFileThread } from "./open-file-thread.ts";
export { solve, type Solution } from "./solve.ts";
export { StepLog, type Step } from "./steps.ts";
