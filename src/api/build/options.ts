import type { Readable } from "node:stream";
import type { Digest } from "../../core/index.ts";
import type { EngineOptions } from "../engine.ts";
import { apiError } from "../errors.ts";
import type { CompressionWords } from "../output/compression.ts";
import type { OutputSpec } from "../output/types.ts";
import type { CacheSource, CacheTarget } from "./cache/cache-spec.ts";
import type { RunOptions } from "./run/options.ts";

export interface BuildOptions extends EngineOptions, RunOptions {
  /** The build context: a directory, a git repository, the URL of a tar or a Dockerfile, or `-` for `stdin`. */
  readonly context: string;
  /**
   * The Dockerfile, by default `Dockerfile` in the context: relative to the working directory, or to a context that is no
   * directory; `-` for `stdin`; or a URL.
   */
  readonly file?: string | undefined;
  /** `NAME=VALUE`: what stands in for a stage or an image of that name. */
  readonly namedContexts?: readonly string[];
  /** What `-` reads; the process' own standard input unless given. */
  readonly stdin?: Readable;
  readonly tags?: readonly string[];
  readonly target?: string | undefined;
  /** `NAME=value`, or `NAME` for the value of the caller's environment. */
  readonly buildArgs?: readonly string[];
  readonly labels?: readonly string[];
  readonly platforms?: readonly string[];
  /** Run every RUN, COPY and ADD again. Beats `noCacheFilter`. */
  readonly noCache?: boolean;
  /** Names of the stages whose RUN, COPY and ADD run again, letter case aside. */
  readonly noCacheFilter?: readonly string[];
  readonly pull?: boolean;
  /** Caches to look into for what is not here. */
  readonly cacheFrom?: readonly CacheSource[];
  /** Where the cache of this build goes. */
  readonly cacheTo?: readonly CacheTarget[];
  readonly network?: "default" | "none" | "host";
  /** Where the result goes; the store when there are none. */
  readonly outputs?: readonly OutputSpec[];
  /** Send the image to its registry. */
  readonly push?: boolean;
  /** Put the image into the store beside other outputs. */
  readonly load?: boolean;
  /** `[types[platform]:]key=value`. */
  readonly annotations?: readonly string[];
  readonly imageIdFile?: string | undefined;
  /** How layers are compressed for outputs that do not say it themselves. */
  readonly compression?: CompressionWords | undefined;
  /** File for the digests and names of the result, as JSON. */
  readonly metadataFile?: string | undefined;
  /** File for a page that shows when each step did what; for Chrome's trace format when it ends in `.json`. */
  readonly timeline?: string | undefined;
  /** Steps tell their phases and what they took, as progress. */
  readonly isMeasured?: boolean | undefined;
  /** `type=provenance|sbom,…`; what is asked for is not made, and warned of. */
  readonly attestations?: readonly string[];
  /** `false`, `true` or fields, as for `attestations`. */
  readonly provenance?: string | undefined;
  readonly sbom?: string | undefined;
}

export interface BuildResult {
  /** Digest of the config; of the index where there are images for several platforms. */
  readonly imageId: Digest;
  /** Names that the image has got, in familiar form. */
  readonly names: readonly string[];
}

/** `NAME=value` pairs; a bare NAME takes the caller's environment and is dropped when that lacks it. */
export function parsePairs(
  texts: readonly string[],
  code: "BUILD_ARG_INVALID" | "LABEL_INVALID",
): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    const name = equals === -1 ? text : text.slice(0, equals);
    if (name === "") {
      const what = code === "LABEL_INVALID" ? "label" : "build argument";
      throw apiError(code, `read ${what} ${JSON.stringify(text)}: it has no name`, {
        hint: "write it as NAME=value",
      });
    }
    const value =
      equals !== -1 ? text.slice(equals + 1) : code === "LABEL_INVALID" ? "" : process.env[name];
    if (value !== undefined) pairs.set(name, value);
  }
  return pairs;
}
