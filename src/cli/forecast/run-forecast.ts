import { Option } from "commander";
import {
  forecastBuild,
  toForecastDocument,
  usageError,
  wouldRun,
  type BuildOptions,
  type Forecast,
} from "../../api/index.ts";
import type { CallOutput } from "../call/run-call.ts";
import { formatForecast } from "./print-forecast.ts";

export interface ForecastFlags {
  readonly dryRun?: boolean;
  readonly exitCode?: boolean;
  readonly format?: "text" | "json";
}

/** What `--exit-code` answers when something would run: no failure has this code. */
export const wouldRunCode = 3;

/** `--dry-run` and `--exit-code`. */
export function forecastOptions(): readonly Option[] {
  return [
    new Option(
      "--dry-run",
      "run nothing: tell which steps are cached, which would run and why, and how long that takes",
    ),
    new Option(
      "--exit-code",
      `with --dry-run: exit with ${String(wouldRunCode)} when a step would run, with 0 when all are cached`,
    ),
  ];
}

/** Whether to forecast instead of building. @throws USAGE for `--exit-code` alone */
export function wantsForecast({ dryRun = false, exitCode = false }: ForecastFlags): boolean {
  if (exitCode && !dryRun) {
    throw usageError("--exit-code tells what --dry-run found", "add --dry-run");
  }
  return dryRun;
}

/** Does what `--dry-run` asks for. Prints nothing itself: the progress display may still be on the screen. */
export async function runForecast(
  flags: ForecastFlags,
  options: BuildOptions,
): Promise<CallOutput> {
  const forecast = await forecastBuild(options);
  return {
    text: renderForecast(forecast, { ...flags, print: formatForecast }),
    exitCode: flags.exitCode === true && wouldRun(forecast) ? wouldRunCode : 0,
  };
}

export function renderForecast(
  forecast: Forecast,
  {
    format,
    print,
  }: Pick<ForecastFlags, "format"> & { readonly print: (forecast: Forecast) => string },
): string {
  if (format !== "json") return print(forecast);
  return `${JSON.stringify(toForecastDocument(forecast), undefined, 2)}\n`;
}
