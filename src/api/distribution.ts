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
import { copyGraph } from "../image/index.ts";
import type { NameRecord } from "../store/index.ts";
import { isFor } from "./base-images.ts";
import { withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { usageError } from "./errors.ts";
import { findImage, namesIn, normaliseName } from "./images.ts";
import { missingHere, missingInRegistry, nameImage } from "./missing-image.ts";
import { openRepository } from "./open-repository.ts";
import { parseCompression, type CompressionWords } from "./output/compression.ts";
import { describe, pushGroup } from "./output/push-output.ts";

export interface PulledImage {
  /** Full name. */
  readonly name: string;
  /** Of the manifest or index that the name stands for. */
  readonly digest: Digest;
}

/** Fetches an image with all its layers for one platform. @throws REGISTRY_*, IMAGE_* */
export async function pullImage(
  options: EngineOptions & { readonly name: string; readonly platform?: string | undefined },
): Promise<PulledImage> {
  const name = normaliseName(options.name);
  const platform =
    options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  return withEngine(options, async (engine) => {
    const { signal } = engine;
    const reference = parseReference(name);
    const repository = await openRepository(engine, { reference, access: "pull" });
    try {
      const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
      const root = await repository.resolve(name, signal);
      if (root === undefined) throw await missingInRegistry(repository, name, signal);
      const sink = engine.images.sink({ fromRegistry: true });
      await steps.run(`pulling ${familiarReference(parseReference(name))}`, async (step) => {
        const copied = await copyGraph({
          source: repository,
          sink,
          root,
          platform,
          keepIndex: true,
          signal,
          onProgress: (progress) => step.progress(describe(progress)),
        }).catch((error: unknown) => {
          throw nameImage(error, name);
        });
        await sink.tag(name, copied.root, signal);
      });
      await warnOfPlatform(engine, { name, platform, steps });
      return { name, digest: root.digest };
    } finally {
      await repository.close();
    }
  });
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

/**
 * Sends an image to the registry that its name tells, its layers as they came or, where they were built here, compressed
 * with gzip unless `compression` says otherwise.
 * @throws IMAGE_NOT_FOUND, REGISTRY_*; USAGE, OUTPUT_UNSUPPORTED for the compression
 */
export async function pushImage(
  options: EngineOptions & {
    readonly name: string;
    readonly compression?: CompressionWords | undefined;
  },
): Promise<PushedImage> {
  const name = normaliseName(options.name);
  return withEngine(options, async (engine) => pushOne(engine, name, options.compression));
}

/**
 * Sends every tag that a repository has here, one after the other; what they share goes once.
 * @throws USAGE for a name with a tag; IMAGE_NOT_FOUND when it has none; see `pushImage`
 */
export async function pushRepository(
  options: EngineOptions & {
    readonly name: string;
    readonly compression?: CompressionWords | undefined;
  },
): Promise<readonly PushedImage[]> {
  const { tag, digest, ...repository } = parseReference(options.name);
  if (tag !== undefined || digest !== undefined) {
    throw usageError(
      `push all tags of ${options.name}: tag can't be used with --all-tags/-a`,
      "give the name without a tag",
    );
  }
  return withEngine(options, async (engine) => {
    const names = await namesIn(engine, repository);
    if (names.length === 0) throw await missingHere(engine, options.name);
    const pushed: PushedImage[] = [];
    for (const name of names) pushed.push(await pushOne(engine, name, options.compression));
    return pushed;
  });
}

async function pushOne(
  engine: Engine,
  name: string,
  compression: CompressionWords = {},
): Promise<PushedImage> {
  const form = parseCompression(compression);
  const image = await findImage(engine, name);
  const record = await engine.store.names.get(name);
  const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
  const group = await engine.images.groupOf(image);
  const root = await pushGroup({ engine, group, names: [name], steps, form });
  if (record !== undefined) await rememberPush(engine, { ...record, repoDigest: root.digest });
  const { digest, tag = digest ?? "latest" } = parseReference(name);
  return { name, tag, digest: root.digest, size: root.size };
}

/** `inspect` tells the digest, and later pushes to the same registry find the layers there. */
async function rememberPush({ store }: Engine, record: NameRecord): Promise<void> {
  const { name, descriptor, repoDigest } = record;
  const present = await store.names.get(name);
  // Somebody may have given the name to another image meanwhile.
  if (present === undefined || present.descriptor.digest !== descriptor.digest) return;
  await store.names.set({ name, descriptor, ...(repoDigest && { repoDigest }) });
}
