import {
  solve,
  StepLog,
  type BuildEnvironment,
  type SecretWatch,
  type Solution,
} from "../../build/index.ts";
import { isDiskFull, isTsbuildError, type ChainId } from "../../core/index.ts";
import { parseDockerfile, pinpointWord, type Dockerfile } from "../../dockerfile/index.ts";
import { refusingForeignSyntax, type Plan, type TimedSource } from "../../plan/index.ts";
import { BaseImages } from "../base-images.ts";
import { withEngine, type Engine } from "../engine.ts";
import { normaliseTag } from "../images.ts";
import { familiar } from "../output/archive-output.ts";
import { chooseOutputs, isOnStdout } from "../output/choose-outputs.ts";
import { checkFolderOf, checkOutput } from "../output/places.ts";
import { removeReport, writeImageId, writeMetadata } from "../output/reports.ts";
import { writeOutputs, type WrittenOutputs } from "../output/write-outputs.ts";
import { withTimeline } from "../timeline/with-timeline.ts";
import { assembleImages, type AssembledImages } from "./assemble-images.ts";
import { targetOf } from "./build-target.ts";
import { openBuildCaches } from "./cache/build-caches.ts";
import { withChecks } from "./checks.ts";
import { choosePlatforms, type TargetPlatforms } from "./choose-platforms.ts";
import { locateContext } from "./context-place.ts";
import { openEnvironment } from "./environment.ts";
import { makePlan } from "./make-plan.ts";
import { parsePairs, type BuildOptions, type BuildResult } from "./options.ts";
import { withRunSources, type RunSources } from "./run/sources.ts";
import { watchSecrets } from "./run/watch-secrets.ts";
import { readNamedContexts, type NamedContexts } from "./named-contexts.ts";
import type { RemoteRequest } from "./remote-sources.ts";
import { openRemotes, type Remotes } from "./remotes.ts";
import { timeOf } from "./source-time.ts";
import { openLocalSources, withSource, type BuildSources } from "./sources.ts";

/**
 * Builds an image, or one for each platform, and keeps it in the store, named by `tags`; or writes it where the outputs
 * say instead.
 *
 * @throws DOCKERFILE_*, PLAN_*, BUILD_*, SANDBOX_*, REGISTRY_* and others; located in the Dockerfile where they come
 * from one of its lines. Nothing is named then, and finished steps stay in the cache.
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  if (options.timeline === undefined) return (await buildAndSee(options)).result;
  return withTimeline(options, async (measured) => (await buildAndSee(measured)).result);
}

/** What a look at a build's images, before they are written anywhere, has found. */
type See<Seen> = (images: AssembledImages, engine: Engine) => Promise<Seen>;

/** `build`, with a look at the images that gc keeps its hands off meanwhile. */
export async function buildAndSee<Seen = undefined>(
  options: BuildOptions,
  see?: See<Seen>,
): Promise<{ readonly result: BuildResult; readonly seen: Seen }> {
  const names = [...new Set((options.tags ?? []).map(normaliseTag))];
  const targets = choosePlatforms(options);
  const outputs = chooseOutputs(options, { names, isIndex: targets.isIndex });
  const place = await locateContext(options.context);
  const named = await readNamedContexts(options.namedContexts ?? []);
  const local = await openLocalSources(place, options.file);
  const leaked = new Set<ChainId>();
  const onLeaked = (chainId: ChainId): void => void leaked.add(chainId);
  const building = withEngine(options, async (engine) => {
    for (const output of outputs) await checkOutput(output);
    await prepareReports(options);
    return withRunSources(options, engine, async (given) => {
      const steps = new StepLog({
        listener: engine.progress,
        clock: engine.clock,
        isMeasured: options.isMeasured,
      });
      const remotes = openRemotes({ engine, options, place, given });
      try {
        const elsewhere = { place, options, engine, steps, remotes };
        const sources = local ?? (await openFromElsewhere(elsewhere));
        const shown = { engine, options, names, outputs, steps };
        const work = { ...shown, targets, named, given, remotes, onLeaked };
        let seen = undefined as Seen;
        const look = async (images: AssembledImages): Promise<void> => {
          if (see !== undefined) seen = await see(images, engine);
        };
        return { result: await buildFrom(sources, { ...work, look }), seen };
      } finally {
        await remotes.close();
      }
    });
  });
  return building.catch(async (error: unknown) => {
    if (leaked.size === 0) throw error;
    const { removeLeaked } = await import("./remove-leaked.ts");
    throw await removeLeaked(error, { leaked, options });
  });
}

/** Everything of one build but its sources. */
interface BuildWork {
  readonly engine: Engine;
  readonly options: BuildOptions;
  readonly names: readonly string[];
  readonly targets: TargetPlatforms;
  readonly outputs: ReturnType<typeof chooseOutputs>;
  readonly named: NamedContexts;
  readonly given: RunSources;
  readonly steps: StepLog;
  readonly remotes: Remotes;
  readonly onLeaked: (chainId: ChainId) => void;
  /** Called with the finished images. */
  readonly look: (images: AssembledImages) => Promise<void>;
}

async function buildFrom(sources: BuildSources, work: BuildWork): Promise<BuildResult> {
  const { engine, options, names, targets, outputs, named, given, steps, remotes } = work;
  const bases = new BaseImages(engine, { pull: options.pull ?? false });
  const secretWatch = await openWatch(work);
  const caches = await openBuildCaches({ engine, steps, options });
  try {
    const { plan, parsed } = await planFrom(sources, { ...work, bases, secretWatch });
    searchPlanned(secretWatch, { plan, names, outputs });
    const target = targetOf(options);
    const environment = await openEnvironment(engine, {
      sources,
      lastBuild: () => engine.cache.loadBuildRecord(target),
      remote: caches.remote,
      directories: named.directories,
      remotes,
      bases,
      steps,
      epoch: plan.sourceDateEpoch,
    });
    const watched = secretWatch === undefined ? {} : { secretWatch };
    const { solution, written } = await caches.retrying(async (attempt) => {
      const thread = attempt === 1 ? environment.thread : undefined;
      const readsResult = outputs.some(({ type }) => type === "local" || type === "tar");
      const asked = { ...given, ...watched, thread, readsResult };
      const solution = await solve(plan, { ...environment, ...asked })
        .catch((error: unknown) => {
          throw pinpointWord(error, parsed);
        })
        .finally(() => environment.thread?.close());
      await secretWatch?.cached(plan, solution);
      // Before anything is named: what a name leads to must outlive a power cut.
      const durable = engine.snapshots.makeDurable(() => engine.store.sync());
      const write = async (): Promise<WrittenOutputs> => {
        await caches.keepOrigins(solution, { isStreamed: outputs.some(isOnStdout) });
        const isInlineCache = caches.isInline;
        const assembled = { plan, solution, environment, targets, options, isInlineCache };
        const images = await assembleImages(assembled);
        await work.look(images);
        return writeOutputs(outputs, { engine, steps, names, durable, ...images });
      };
      const [written] = await Promise.allSettled([write(), durable]);
      await durable;
      // Finished steps are kept for the next build whatever became of the outputs.
      await keepRecords(solution, { environment, engine, options, secretWatch });
      if (written.status === "rejected") throw written.reason;
      return { solution, written: written.value };
    });
    await writeReports(options, written);
    const { imageId, descriptor } = written;
    const told = familiar(written.names);
    const time = engine.clock.now().getTime();
    // Files alone are no image.
    if (descriptor !== undefined) {
      engine.progress({ type: "image-ready", imageId, names: told, time });
    }
    await caches.write({ plan, solution, bases, names: written.names });
    return { imageId, names: told };
  } catch (error) {
    // Nobody will ask the disk again: it tells of a failure once.
    if (await engine.store.hasLostWrites()) engine.snapshots.distrustUnsynced();
    throw withSource(error, sources.dockerfile, secretWatch);
  } finally {
    await caches.close();
  }
}

/** Looks for secrets in all that is known before anything runs. @throws BUILD_SECRET_LEAKED */
export function searchPlanned(
  watch: SecretWatch | undefined,
  { plan, names, outputs }: Pick<BuildWork, "names" | "outputs"> & { readonly plan: Plan },
): void {
  watch?.plan(plan);
  watch?.texts({ names, outputs: outputs.flatMap(writtenWords) });
}

/** What the command line gives to an image beside its files. */
function writtenWords(output: BuildWork["outputs"][number]): readonly object[] {
  if (!("form" in output)) return [];
  const { names = [], annotations } = output.form;
  return [
    { names, annotations: Object.fromEntries(annotations.map((each) => [each.key, each.value])) },
  ];
}

/** Of the secrets that the build is given, where there are any. */
export async function openWatch(
  work: Pick<BuildWork, "engine" | "options" | "steps" | "given"> &
    Partial<Pick<BuildWork, "onLeaked">>,
): Promise<SecretWatch | undefined> {
  const { engine, options, steps, given, onLeaked } = work;
  if (given.secrets === undefined) return undefined;
  const allowLeaks = options.allowSecretLeak === true;
  return watchSecrets(given.secrets, { engine, steps, allowLeaks, onLeaked });
}

/** Plans what a build of the sources does; findings of checks are told. */
export async function planFrom(
  { dockerfile, context }: BuildSources,
  work: Pick<BuildWork, "engine" | "options" | "targets" | "named" | "steps" | "remotes"> & {
    readonly bases: BaseImages;
    readonly secretWatch?: SecretWatch | undefined;
  },
): Promise<{ readonly plan: Plan; readonly parsed: Dockerfile }> {
  const { engine, options, targets, named, steps, remotes, bases, secretWatch } = work;
  const directory = context.type === "directory" ? context.directory : undefined;
  const checked = { options, steps, directory, dockerfile: dockerfile.path, secretWatch };
  const file = dockerfile.shown;
  return withChecks(checked, async (checks) => {
    const observer = refusingForeignSyntax(file, {
      buildArgs: parsePairs(options.buildArgs ?? [], "BUILD_ARG_INVALID"),
      namedContexts: named.contexts,
      inner: checks.linter,
    });
    const parsed = parseDockerfile(dockerfile.bytes, { file, observer });
    const resolveTime = (source: TimedSource): Promise<number | undefined> =>
      timeOf(source, { context, remotes, engine });
    const contexts = { named: named.contexts, resolveTime };
    const request = { options, targets, bases, steps, checks, contexts };
    return { plan: await makePlan(parsed, request), parsed };
  });
}

/** Loaded here, because most builds are of a directory. */
async function openFromElsewhere(request: RemoteRequest): Promise<BuildSources> {
  const { openRemoteSources } = await import("./remote-sources.ts");
  return openRemoteSources(request);
}

/** @throws OUTPUT_FAILED for files that could not be written after the build */
async function prepareReports({ imageIdFile, metadataFile }: BuildOptions): Promise<void> {
  for (const path of [imageIdFile, metadataFile]) {
    if (path !== undefined) await checkFolderOf(path);
  }
  if (imageIdFile !== undefined) await removeReport(imageIdFile);
}

async function writeReports(options: BuildOptions, written: WrittenOutputs): Promise<void> {
  const { imageIdFile, metadataFile } = options;
  if (imageIdFile !== undefined) await writeImageId(imageIdFile, written.imageId);
  if (metadataFile !== undefined) await writeMetadata(metadataFile, written);
}

/** What only serves the next build. The image is there, so a disk that is full by now does not fail this one. */
async function keepRecords(
  solution: Solution,
  request: {
    readonly environment: BuildEnvironment;
    readonly engine: Engine;
    readonly options: BuildOptions;
    readonly secretWatch: SecretWatch | undefined;
  },
): Promise<void> {
  const { environment, engine, options, secretWatch } = request;
  try {
    await environment.statCache.save();
    await secretWatch?.save();
    if (solution.written.length > 0) {
      await engine.cache.markDurable(solution.written);
    }
    await engine.cache.saveBuildRecord(targetOf(options), {
      steps: solution.trace,
      finished: engine.clock.now().toISOString(),
    });
  } catch (error) {
    if (!isDiskFull(error) && !isTsbuildError(error, "DISK_FULL")) throw error;
    environment.steps.warn({
      code: "BUILD_RECORDS_NOT_KEPT",
      message: "the disk is full: the next build may run steps again that this one has finished",
      hint: "`tsbuild system prune` frees space",
    });
  }
}
