export type { PlanErrorCode } from "./errors.ts";
export { refusingForeignSyntax } from "./frontend.ts";
export { contextName } from "./named-contexts.ts";
export { outlineBuild, type Outline, type OutlineArg, type OutlineNeed } from "./outline.ts";
export { planBuild } from "./plan-build.ts";
export { readStepName } from "./step-names.ts";
export type * from "./types.ts";
