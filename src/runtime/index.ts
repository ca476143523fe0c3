export { listContainers, removeContainer, type Container } from "./containers.ts";
export type { RuntimeErrorCode } from "./errors.ts";
export { run, type RunEnvironment, type RunRequest, type RunResult } from "./run.ts";
