import type { ForecastDocument } from "../../src/api/index.ts";
import type { ToldStep } from "./setup-progress.ts";

type ForetoldStep = ForecastDocument["steps"][number];

/** The steps of `build --dry-run --format json`, without base images. */
export function foretoldSteps(stdout: string): readonly ForetoldStep[] {
  return (JSON.parse(stdout) as ForecastDocument).steps.filter(({ type }) => type === "step");
}

/** Whether that became of a step which was foretold. */
export function isForetold({ name, outcome }: ForetoldStep, told: readonly ToldStep[]): boolean {
  const happened = told.find((step) => step.name === name)?.outcome;
  switch (outcome) {
    case "cached":
      return happened === "cached";
    case "run":
      return happened === "done";
    case "depends":
      return happened === "done" || happened === "cached";
    default:
      return happened === undefined;
  }
}
