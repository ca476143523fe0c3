import type { ProgressListener } from "../../core/index.ts";
import { formatDifference } from "../compare/format-difference.ts";
import { compareImages, type ImageDifference } from "../compare/compare-images.ts";
import type { Engine } from "../engine.ts";
import { apiError, usageError } from "../errors.ts";
import type { AssembledImages } from "./assemble-images.ts";
import { withTimeline } from "../timeline/with-timeline.ts";
import { buildAndSee } from "./build.ts";
import type { BuildOptions, BuildResult } from "./options.ts";

/**
 * Builds twice, the second time without the cache, and compares. Only when both images are the same down to the last bit
 * does the build go on to its outputs: nothing is named, written or pushed before.
 *
 * @throws BUILD_NOT_REPRODUCIBLE, whose details are `{ differences }`, a list of ImageDifference; USAGE for sources that
 *   can be read only once; and what `build` throws
 */
export async function checkReproducible(options: BuildOptions): Promise<BuildResult> {
  return withTimeline(options, checkBoth);
}

async function checkBoth(options: BuildOptions): Promise<BuildResult> {
  if (options.context === "-" || options.file === "-") throw readOnce();
  const progress = numberSteps(options.progress ?? (() => undefined));
  const first = await buildOnly({ ...options, progress: progress.of("first build: ") }, firstOf);
  const second = {
    ...options,
    noCache: true,
    progress: withoutWarnings(progress.of("second build: ")),
  };
  const differences = await buildOnly(second, async (images, engine) =>
    compareImages(first.group, images.group, {
      snapshots: engine.snapshots,
      latest: isRewritten(options) ? images.epoch : undefined,
    }),
  );
  if (differences.length > 0) throw notReproducible(differences);
  return (await buildAndSee({ ...options, progress: withoutWarnings(progress.of("")) })).result;
}

async function firstOf(images: AssembledImages): Promise<AssembledImages> {
  return Promise.resolve(images);
}

/** A build without any result but what `see` makes of its images. */
async function buildOnly<T>(
  options: BuildOptions,
  see: (images: AssembledImages, engine: Engine) => Promise<T>,
): Promise<T> {
  const { imageIdFile: _id, metadataFile: _metadata, ...rest } = options;
  const quiet: BuildOptions = {
    ...rest,
    ...{ tags: [], outputs: [{ type: "cacheonly" }], push: false, load: false, annotations: [] },
    ...{ attestations: [], provenance: undefined, sbom: undefined },
  };
  return (await buildAndSee(quiet, see)).seen;
}

function isRewritten({ outputs = [] }: BuildOptions): boolean {
  return outputs.some((output) => "form" in output && output.form.rewriteTimestamp);
}

/** One numbering for the steps of several builds, each of whose names begin with a word of their own. */
function numberSteps(listener: ProgressListener): { of(prefix: string): ProgressListener } {
  let highest = 0;
  return {
    of: (prefix) => {
      const base = highest;
      return (event) => {
        if (!("step" in event)) {
          listener(event);
          return;
        }
        const step = base + event.step;
        highest = Math.max(highest, step);
        listener(
          "name" in event ? { ...event, step, name: prefix + event.name } : { ...event, step },
        );
      };
    },
  };
}

/** They were told by the first build. */
function withoutWarnings(listener: ProgressListener): ProgressListener {
  return (event) => {
    if (event.type !== "warning") listener(event);
  };
}

function readOnce(): Error {
  return usageError(
    "check that the build is reproducible: standard input can be read only once",
    "give --check-reproducible a directory and a Dockerfile as files",
  );
}

function notReproducible(differences: readonly ImageDifference[]): Error {
  const [difference] = differences;
  const found = difference === undefined ? "nothing" : formatDifference(difference);
  return apiError("BUILD_NOT_REPRODUCIBLE", `build it twice: the results differ in ${found}`, {
    hint: adviceFor(differences),
    details: { differences: differences.map((difference) => ({ ...difference })) },
  });
}

function adviceFor(differences: readonly ImageDifference[]): string {
  const isTime = ({ field, path }: ImageDifference): boolean =>
    field === "mtime" || /(^|\.)created$/.test(path);
  return differences.every(isTime)
    ? "only times differ: set --build-arg SOURCE_DATE_EPOCH=<seconds> and -o type=image,rewrite-timestamp=true"
    : "make the step give the same files each time: pin versions, sort, leave out times and random names; fix times with SOURCE_DATE_EPOCH and rewrite-timestamp=true";
}
