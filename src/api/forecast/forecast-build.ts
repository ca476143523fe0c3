import { forecast, StepLog, type Forecast } from "../../build/index.ts";
import { pinpointWord } from "../../dockerfile/index.ts";
import { BaseImages } from "../base-images.ts";
import { targetOf } from "../build/build-target.ts";
import { openWatch, planFrom, searchPlanned } from "../build/build.ts";
import { openBuildCaches } from "../build/cache/build-caches.ts";
import { choosePlatforms } from "../build/choose-platforms.ts";
import { locateContext } from "../build/context-place.ts";
import { openEnvironment } from "../build/environment.ts";
import { readNamedContexts } from "../build/named-contexts.ts";
import type { BuildOptions } from "../build/options.ts";
import type { RemoteRequest } from "../build/remote-sources.ts";
import { openRemotes } from "../build/remotes.ts";
import { withRunSources } from "../build/run/sources.ts";
import { openLocalSources, withSource, type BuildSources } from "../build/sources.ts";
import { withEngine } from "../engine.ts";
import { normaliseTag } from "../images.ts";
import { chooseOutputs } from "../output/choose-outputs.ts";

/**
 * Says what `build` would do with the same options, and why. Base images and URLs are asked for as a build does; nothing
 * runs, no layer is fetched, and no image, record or report is written.
 * @throws what keeps a build from beginning: DOCKERFILE_*, PLAN_*, CONTEXT_*, REGISTRY_*, USAGE, BUILD_SECRET_LEAKED
 */
export async function forecastBuild(options: BuildOptions): Promise<Forecast> {
  const names = [...new Set((options.tags ?? []).map(normaliseTag))];
  const targets = choosePlatforms(options);
  // What a build refuses is refused; where the result would go makes no difference otherwise.
  const outputs = chooseOutputs(options, { names, isIndex: targets.isIndex });
  const place = await locateContext(options.context);
  const named = await readNamedContexts(options.namedContexts ?? []);
  const local = await openLocalSources(place, options.file);
  return withEngine(options, async (engine) =>
    withRunSources(options, engine, async (given) => {
      const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
      const remotes = openRemotes({ engine, options, place, given });
      const bases = new BaseImages(engine, { pull: options.pull ?? false, onlyLook: true });
      try {
        const elsewhere = { place, options, engine, steps, remotes };
        const sources = local ?? (await openFromElsewhere(elsewhere));
        const work = {
          engine,
          options,
          names,
          outputs,
          targets,
          named,
          given,
          steps,
          remotes,
          bases,
        };
        return await forecastFrom(sources, work);
      } finally {
        await bases.close();
        await remotes.close();
      }
    }),
  );
}

type ForecastWork = Parameters<typeof planFrom>[1] & {
  readonly names: readonly string[];
  readonly outputs: ReturnType<typeof chooseOutputs>;
  readonly given: Parameters<Parameters<typeof withRunSources>[2]>[0];
};

async function forecastFrom(sources: BuildSources, work: ForecastWork): Promise<Forecast> {
  const { engine, options, named, given, bases, steps } = work;
  const secretWatch = await openWatch(work);
  const caches = await openBuildCaches({ engine, options, steps });
  try {
    const { plan, parsed } = await planFrom(sources, { ...work, secretWatch });
    searchPlanned(secretWatch, { ...work, plan });
    const environment = await openEnvironment(engine, {
      ...work,
      sources,
      directories: named.directories,
      lastBuild: () => engine.cache.loadBuildRecord(targetOf(options)),
      remote: caches.remote,
      bases,
      epoch: plan.sourceDateEpoch,
    });
    const watched = secretWatch === undefined ? {} : { secretWatch };
    return await forecast(plan, { ...environment, ...given, ...watched })
      .catch((error: unknown) => {
        throw pinpointWord(error, parsed);
      })
      .finally(() => environment.thread?.close());
  } catch (error) {
    throw withSource(error, sources.dockerfile, secretWatch);
  } finally {
    await caches.close();
  }
}

async function openFromElsewhere(request: RemoteRequest): Promise<BuildSources> {
  const { openRemoteSources } = await import("../build/remote-sources.ts");
  return openRemoteSources(request);
}
