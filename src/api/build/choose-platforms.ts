import {
  formatPlatform,
  hostPlatform,
  parseBoolean,
  parsePlatform,
  type Platform,
} from "../../core/index.ts";
import { usageError } from "../errors.ts";
import { parsePairs, type BuildOptions } from "./options.ts";

/** What is built for whom. */
export interface TargetPlatforms {
  /** Each once, in the order in which they were asked for; this machine's when nothing was asked for. */
  readonly platforms: readonly Platform[];
  readonly isRequested: boolean;
  readonly buildPlatform: Platform;
  /** Whether an index comes out, whatever the number of platforms. */
  readonly isIndex: boolean;
}

/**
 * The platforms of a build: `--platform` with commas or repeated, where `local` is this machine's.
 * @throws PLATFORM_INVALID; USAGE when BUILDKIT_MULTI_PLATFORM contradicts it
 */
export function choosePlatforms(
  options: Pick<BuildOptions, "platforms" | "buildArgs">,
): TargetPlatforms {
  const buildPlatform = hostPlatform();
  const texts = (options.platforms ?? []).flatMap((text) => text.split(","));
  const asked = texts.map((text) =>
    text.trim() === "local" ? buildPlatform : parsePlatform(text.trim()),
  );
  const platforms = uniquePlatforms(asked.length === 0 ? [buildPlatform] : asked);
  return {
    platforms,
    isRequested: asked.length > 0,
    buildPlatform,
    isIndex: isIndex(platforms, options.buildArgs ?? []),
  };
}

function uniquePlatforms(platforms: readonly Platform[]): readonly Platform[] {
  return [...new Map(platforms.map((platform) => [formatPlatform(platform), platform])).values()];
}

function isIndex(platforms: readonly Platform[], buildArgs: readonly string[]): boolean {
  const told = parsePairs(buildArgs, "BUILD_ARG_INVALID").get("BUILDKIT_MULTI_PLATFORM") ?? "";
  const isSeveral = platforms.length > 1;
  if (told === "") return isSeveral;
  const isWanted = parseBoolean(told);
  if (isWanted === true) return true;
  if (isWanted === undefined) {
    throw usageError(
      `read BUILDKIT_MULTI_PLATFORM: invalid boolean value for multi-platform: ${told}`,
      "write 1 or 0",
    );
  }
  if (isSeveral) {
    throw usageError(
      "build for several platforms: conflicting config: returning multiple target platforms is not allowed",
      "leave BUILDKIT_MULTI_PLATFORM out, or build for one platform",
    );
  }
  return false;
}
