export type { PlanErrorCode } from "./errors.ts";
export { planBuild } from "./plan-build.ts";
export type * from "./types.ts";
