export {
  listContainers,
  readContainers,
  removeContainer,
  type Container,
  type ContainerPlaces,
} from "./containers.ts";
export type { RuntimeErrorCode } from "./errors.ts";
export { run, type RunEnvironment, type RunRequest, type RunResult } from "./run.ts";
