import { parsePairs, type BuildOptions } from "./options.ts";

/** The time that everything new in the image has, where SOURCE_DATE_EPOCH says one in seconds. */
export function sourceDateEpoch(options: BuildOptions): Date | undefined {
  const text = parsePairs(options.buildArgs ?? [], "BUILD_ARG_INVALID").get("SOURCE_DATE_EPOCH");
  return text !== undefined && /^[0-9]+$/.test(text) ? new Date(Number(text) * 1000) : undefined;
}
