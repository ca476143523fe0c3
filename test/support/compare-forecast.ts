import { expect } from "vitest";
import { formatReason, type Forecast } from "../../src/build/index.ts";
import type { BuildHarness, BuildRequest, Built } from "./build-harness.ts";
import { reasons } from "./explained-build.ts";

/** Forecasts a build, builds, and compares: what was promised must have happened, for the reason that was told. */
export async function forecastAndBuild(
  harness: BuildHarness,
  text: string,
  request: BuildRequest = {},
): Promise<{ readonly forecast: Forecast; readonly built: Built }> {
  const before = await harness.kept();
  const forecast = await harness.forecast(text, request);
  expect(await harness.kept()).toEqual(before);
  const built = await harness.build(text, request);
  expectPromised(forecast, built);
  const told = reasons(harness);
  const shown = new Set(harness.steps("step-started"));
  for (const { name, outcome, why = "" } of forecast.steps) {
    // What only changes its place is not shown.
    if (outcome === "run" && shown.has(name)) expect(told).toContain(`${name}: ${why}`);
  }
  return { forecast, built };
}

type Happened = "ran" | "cached" | "nothing";

function expectPromised({ steps }: Forecast, { trace }: Built): void {
  const happened = new Map<string, Happened>();
  for (const { name, outcome } of trace) {
    // A COPY --link is two: the copy, and putting its layer in its place.
    if (outcome !== undefined && happened.get(name) !== "ran") happened.set(name, outcome);
  }
  const foretold = steps.filter(({ type }) => type === "step");
  expect(
    [...happened.keys()].filter((name) => !foretold.some((step) => step.name === name)),
  ).toEqual([]);
  const compared = foretold.map(({ name, outcome }) => {
    const what = happened.get(name) ?? "nothing";
    return { name, outcome, what, isRight: possible[outcome].includes(what) };
  });
  expect(compared.filter(({ isRight }) => !isRight)).toEqual([]);
}

const possible: Readonly<Record<Forecast["steps"][number]["outcome"], readonly Happened[]>> = {
  cached: ["cached"],
  run: ["ran"],
  depends: ["ran", "cached"],
  skipped: ["nothing"],
  pull: [],
};

/** `outcome name` of each step, and below it every reason. */
export function describeForecast({ steps }: Forecast): string {
  return steps
    .filter(({ type }) => type === "step")
    .map(({ name, outcome, reasons: all }) =>
      [`${outcome} ${name}`, ...all.map((reason) => `  ${formatReason(reason)}`)].join("\n"),
    )
    .join("\n");
}
