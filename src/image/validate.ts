import { imageError } from "./errors.ts";
import type { ImageConfig, Manifest } from "./types.ts";

/** One thing that is wrong with an image, in words for people. */
export interface ImageProblem {
  readonly code: "LAYER_COUNT" | "HISTORY_COUNT" | "DUPLICATE_ENV" | "PLATFORM_UNKNOWN";
  readonly message: string;
  /** Whether the image cannot be used because of it. */
  readonly isFatal: boolean;
}

/** What is wrong with an image, as far as its two documents show. */
export function validateImage(manifest: Manifest, config: ImageConfig): readonly ImageProblem[] {
  const problems: ImageProblem[] = [];
  const layers = manifest.layers.length;
  const diffIds = config.diffIds.length;
  if (layers !== diffIds) {
    problems.push({
      code: "LAYER_COUNT",
      message: `the manifest has ${String(layers)} layers, the config ${String(diffIds)}`,
      isFatal: true,
    });
  }
  const described = config.history.filter((entry) => entry.emptyLayer !== true).length;
  if (config.history.length > 0 && described !== diffIds) {
    problems.push({
      code: "HISTORY_COUNT",
      message: `the history tells of ${String(described)} layers, the config of ${String(diffIds)}`,
      isFatal: false,
    });
  }
  const names = (config.config.env ?? []).map((entry) => entry.split("=", 1)[0]);
  if (new Set(names).size < names.length) {
    problems.push({
      code: "DUPLICATE_ENV",
      message: "an environment variable is set twice",
      isFatal: false,
    });
  }
  if (config.os === "unknown" || config.architecture === "unknown") {
    problems.push({
      code: "PLATFORM_UNKNOWN",
      message: "the config names no platform",
      isFatal: false,
    });
  }
  return problems;
}

/** @throws IMAGE_INVALID when manifest and config cannot belong together */
export function checkImage(manifest: Manifest, config: ImageConfig): void {
  const fatal = validateImage(manifest, config).find((problem) => problem.isFatal);
  if (fatal === undefined) return;
  throw imageError("IMAGE_INVALID", `check image ${manifest.config.digest}: ${fatal.message}`, {
    details: { layers: manifest.layers.length, diffIds: config.diffIds.length },
  });
}
