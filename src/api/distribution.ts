import { StepLog } from "../build/index.ts";
import {
  familiarReference,
  formatPlatform,
  hostPlatform,
  parsePlatform,
  parseReference,
  type Digest,
  type Platform,
} from "../core/index.ts";
import {
  copyGraph,
  selectManifest,
  type CopyGraphOptions,
  type CopyProgress,
} from "../image/index.ts";
import { isFor } from "./base-images.ts";
import { chooseMembers } from "./choose-members.ts";
import type { ImageGroup } from "../local/index.ts";
import { withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { usageError } from "./errors.ts";
import { findImage, namesIn, normaliseName } from "./images.ts";
import { missingHere, nameImage } from "./missing-image.ts";
import { openRemoteImage } from "./open-repository.ts";
import { parseCompression, type CompressionWords } from "./output/compression.ts";
import { describe, pushGroup } from "./output/push-output.ts";
import { reportDigest } from "./output/reports.ts";

export interface PulledImage {
  /** Full name. */
  readonly name: string;
  /** Of the manifest or index that the name stands for. */
  readonly digest: Digest;
}

/** Fetches an image with all its layers, of an index those for some platforms. @throws REGISTRY_*, IMAGE_* */
export async function pullImage(
  options: EngineOptions & {
    readonly name: string;
    /** This machine's unless given. */
    readonly platforms?: readonly string[] | undefined;
    readonly insecure?: boolean | undefined;
  },
): Promise<PulledImage> {
  const name = normaliseName(options.name);
  const asked = (options.platforms ?? []).map(parsePlatform);
  const platforms = asked.length === 0 ? [hostPlatform()] : asked;
  return withEngine(options, async (engine) => {
    const { signal } = engine;
    const { insecure } = options;
    const { repository, root } = await openRemoteImage(engine, { name, access: "pull", insecure });
    try {
      const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
      const sink = engine.images.sink({ fromRegistry: true });
      await steps.run(`pulling ${familiarReference(parseReference(name))}`, async (step) => {
        const copy = { source: repository, sink, root, platforms, signal };
        const onProgress = (progress: CopyProgress): void => {
          step.progress(describe(progress));
        };
        await copyPlatforms({ ...copy, onProgress }).catch((error: unknown) => {
          throw nameImage(error, name);
        });
        await sink.tag(name, root, signal);
      });
      for (const platform of platforms) await warnOfPlatform(engine, { name, platform, steps });
      return { name, digest: root.digest };
    } finally {
      await repository.close();
    }
  });
}

/** All are chosen before one is fetched: the last one may be missing. */
async function copyPlatforms({
  platforms,
  ...copy
}: Omit<CopyGraphOptions, "platform"> & {
  readonly platforms: readonly Platform[];
}): Promise<void> {
  if (platforms.length > 1) {
    for (const platform of platforms) await selectManifest({ ...copy, platform });
  }
  for (const platform of platforms) await copyGraph({ ...copy, platform, keepIndex: true });
}

/** An image that is no index is for one platform, and comes whatever platform was asked for. */
async function warnOfPlatform(
  engine: Engine,
  pulled: { readonly name: string; readonly platform: Platform; readonly steps: StepLog },
): Promise<void> {
  const { name, platform, steps } = pulled;
  const image = await engine.images.find(name, platform);
  if (image === undefined || isFor(image, platform)) return;
  const { os, architecture } = image.config;
  steps.warn({
    code: "InvalidImagePlatform",
    message: `the image ${familiarReference(parseReference(name))} is made for ${os}/${architecture}, not for ${formatPlatform(platform)}`,
  });
}

export interface PushedImage {
  /** Full name. */
  readonly name: string;
  /** The digest where the name has that instead of a tag. */
  readonly tag: string;
  readonly digest: Digest;
  /** Bytes of the manifest. */
  readonly size: number;
}

export interface PushImageOptions extends EngineOptions {
  readonly name: string;
  readonly compression?: CompressionWords | undefined;
  /** Gets the digest that the image has there. */
  readonly digestFile?: string | undefined;
  /** Of several only these; all that are here unless given. */
  readonly platforms?: readonly string[] | undefined;
  /** Accept any certificate, and plain http. */
  readonly insecure?: boolean | undefined;
}

/**
 * Sends an image to the registry that its name tells, its layers as they came or, where they were built here, compressed
 * with gzip unless `compression` says otherwise.
 * @throws IMAGE_NOT_FOUND, IMAGE_PLATFORM_NOT_FOUND, REGISTRY_*; USAGE, OUTPUT_UNSUPPORTED for the compression
 */
export async function pushImage(options: PushImageOptions): Promise<PushedImage> {
  const name = normaliseName(options.name);
  return reportDigest(options.digestFile, () =>
    withEngine(options, async (engine) => pushOne(engine, name, options)),
  );
}

/**
 * Sends every tag that a repository has here, one after the other; what they share goes once.
 * @throws USAGE for a name with a tag; IMAGE_NOT_FOUND when it has none; see `pushImage`
 */
export async function pushRepository(options: PushImageOptions): Promise<readonly PushedImage[]> {
  const { tag, digest, ...repository } = parseReference(options.name);
  if (tag !== undefined || digest !== undefined) {
    throw usageError(
      `push all tags of ${options.name}: tag can't be used with --all-tags/-a`,
      "give the name without a tag",
    );
  }
  if (options.digestFile !== undefined) {
    throw usageError("write one digest of several images", "push one tag, or leave the file out");
  }
  return withEngine(options, async (engine) => {
    const names = await namesIn(engine, repository);
    if (names.length === 0) throw await missingHere(engine, options.name);
    const pushed: PushedImage[] = [];
    for (const name of names) pushed.push(await pushOne(engine, name, options));
    return pushed;
  });
}

async function pushOne(
  engine: Engine,
  name: string,
  { compression, platforms = [], insecure }: PushImageOptions,
): Promise<PushedImage> {
  const form = parseCompression(compression ?? {});
  const wanted = platforms.map(parsePlatform);
  const image = await findImage(engine, name);
  const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
  const group = chooseMembers(await engine.images.groupOf(image), { name, platforms: wanted });
  const isWhole = wanted.length === 0;
  const original =
    isWhole && form.forceCompression !== true ? await engine.images.findOriginal(image) : undefined;
  if (original === undefined) warnOfMissing(group, { name, steps });
  const root = await pushGroup({
    ...{ engine, group, names: [name], steps, form, isNamedHere: isWhole, insecure },
    // With what no build makes, such as attestations.
    original,
  });
  const { digest, tag = digest ?? "latest" } = parseReference(name);
  return { name, tag, digest: root.digest, size: root.size };
}

/** The name stands for less in the registry afterwards than where the index came from. */
function warnOfMissing(
  { missing = [] }: ImageGroup,
  { name, steps }: { readonly name: string; readonly steps: StepLog },
): void {
  if (missing.length === 0) return;
  const images = missing.flatMap(({ platform }) => platform ?? []).filter(isReal);
  if (images.length === 0) return;
  steps.warn({
    code: "PartialIndex",
    message: `pushes only a part of ${familiarReference(parseReference(name))}; not here: ${images.map(formatPlatform).join(", ")}`,
  });
}

/** Attestations stand in an index under a platform that none is. */
function isReal({ os }: Platform): boolean {
  return os !== "unknown";
}
