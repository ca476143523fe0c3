import { StepLog } from "../../build/index.ts";
import { isIndexType, isManifestType } from "../../core/index.ts";
import {
  maxConfigSize,
  maxManifestSize,
  parseImageConfig,
  parseIndex,
  parseManifest,
  readContent,
  type Descriptor,
} from "../../image/index.ts";
import { copyTo, type CopiedImage } from "../copy-image.ts";
import { withEngine, type EngineOptions } from "../engine.ts";
import { annotationsFor, parseAnnotation } from "../output/annotations.ts";
import type { Annotation } from "../output/types.ts";
import { openImage } from "../places/open-image.ts";
import { OverlaySource } from "../places/overlay-source.ts";
import { parsePlace } from "../places/parse-place.ts";
import {
  asDocument,
  changeConfig,
  type ConfigChanges,
  type JsonDocument,
} from "./change-config.ts";
import { Rebase, type RebaseOptions } from "./rebase.ts";

export interface MutateImageOptions extends EngineOptions, ConfigChanges {
  /** A place, see `parsePlace`. */
  readonly image: string;
  /** Where the changed image goes; in the place of the old one unless given. */
  readonly target?: string | undefined;
  /** As for a build: `[types[platform]:]key=value`. */
  readonly annotations?: readonly string[] | undefined;
  readonly rebase?: RebaseOptions | undefined;
  readonly insecure?: boolean | undefined;
}

/**
 * Changes what an image says of itself, or the base that it lies on, without touching a file: layers stay as they are,
 * and only those move that the target does not have. Of an index every image is changed. What an index attests of the old
 * images is not true of the new ones, and is left out with a warning.
 * @throws USAGE, IMAGE_REBASE_REFUSED, IMAGE_*, REGISTRY_*, ARCHIVE_*
 */
export async function mutateImage(options: MutateImageOptions): Promise<CopiedImage> {
  const from = parsePlace(options.image);
  const to = parsePlace(options.target ?? options.image);
  const annotations = (options.annotations ?? []).flatMap(parseAnnotation);
  return withEngine(options, async (engine) => {
    const { insecure } = options;
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opening = { engine, steps, insecure };
    const opened = await openImage(from, opening);
    const rebase = options.rebase === undefined ? undefined : new Rebase(options.rebase, opening);
    try {
      const source = new OverlaySource(opened.source);
      const mutation = { source, rebase, annotations, changes: options, signal: engine.signal };
      const changed = await change(opened.root, mutation);
      if (changed.dropped > 0) {
        steps.warn({
          code: "ATTESTATIONS_DROPPED",
          message: `${String(changed.dropped)} attestations speak of the images as they were: left out`,
        });
      }
      const { root } = changed;
      return await copyTo(to, { ...opening, from, source, root });
    } finally {
      await rebase?.close();
      await opened.close();
    }
  });
}

interface Mutation {
  readonly source: OverlaySource;
  readonly rebase: Rebase | undefined;
  readonly annotations: readonly Annotation[];
  readonly changes: ConfigChanges;
  readonly signal: AbortSignal;
}

interface Changed {
  readonly root: Descriptor;
  readonly dropped: number;
}

/** `done`: indexes that were changed already; others may list them a thousand times. */
async function change(
  root: Descriptor,
  mutation: Mutation,
  done = new Map<string, Changed>(),
): Promise<Changed> {
  const known = done.get(root.digest);
  if (known !== undefined) return known;
  if (!isIndexType(root.mediaType)) {
    return { root: await changeImage(root, mutation), dropped: 0 };
  }
  const { source, annotations } = mutation;
  const bytes = await read(root, mutation, maxManifestSize);
  let dropped = 0;
  const manifests: unknown[] = [];
  const entries = asList(parseJson(bytes)["manifests"]);
  for (const [at, entry] of parseIndex(bytes, root.mediaType).manifests.entries()) {
    if (entry.annotations?.["vnd.docker.reference.type"] !== undefined) dropped += 1;
    else if (isIndexType(entry.mediaType) || isManifestType(entry.mediaType)) {
      const below = isIndexType(entry.mediaType)
        ? await change(entry, mutation, done)
        : { root: await changeImage(entry, mutation), dropped: 0 };
      dropped += below.dropped;
      const { digest, size } = below.root;
      const { platform } = entry;
      const own = annotationsFor(annotations, { target: "manifest-descriptor", platform });
      manifests.push(withAnnotations({ ...asDocument(entries[at]), digest, size }, own));
    } else manifests.push(entries[at]);
  }
  const index = withAnnotations(
    { ...parseJson(bytes), manifests },
    annotationsFor(annotations, { target: "index" }),
  );
  const changed = { root: source.add(root.mediaType, writeJson(index)), dropped };
  // What it dropped counts once.
  done.set(root.digest, { ...changed, dropped: 0 });
  return changed;
}

async function changeImage(descriptor: Descriptor, mutation: Mutation): Promise<Descriptor> {
  const { source, rebase, annotations, changes } = mutation;
  const bytes = await read(descriptor, mutation, maxManifestSize);
  const manifest = parseManifest(bytes, descriptor.mediaType);
  const configBytes = await read(manifest.config, mutation, maxConfigSize);
  const parsed = parseImageConfig(configBytes);
  const { os, architecture, variant } = parsed;
  const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  const { diffIds } = parsed;
  const known = { manifest, config: parseJson(configBytes), diffIds };
  const rebased = await rebase?.rebase(known, descriptor.platform ?? platform);
  for (const { digest } of rebased?.baseLayers ?? []) {
    if (rebased !== undefined) source.claim(digest, rebased.baseSource);
  }
  const config = changeConfig(rebased?.config ?? known.config, changes);
  const written = source.add(manifest.config.mediaType, writeConfig(config));
  const document = {
    ...parseJson(bytes),
    config: { ...asDocument(parseJson(bytes)["config"]), ...written },
    ...(rebased === undefined ? {} : { layers: rebased.layers }),
  };
  const added = {
    ...rebased?.annotations,
    ...annotationsFor(annotations, {
      target: "manifest",
      platform: descriptor.platform ?? platform,
    }),
  };
  return source.add(descriptor.mediaType, writeJson(withAnnotations(document, added)));
}

function withAnnotations(
  document: JsonDocument,
  added: Readonly<Record<string, string>>,
): JsonDocument {
  if (Object.keys(added).length === 0) return document;
  return { ...document, annotations: { ...asDocument(document["annotations"]), ...added } };
}

async function read(
  descriptor: Descriptor,
  { source, signal }: Mutation,
  limit: number,
): Promise<Buffer> {
  return readContent({ source, descriptor, limit, signal });
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function parseJson(bytes: Buffer): JsonDocument {
  return asDocument(JSON.parse(bytes.toString("utf8")));
}

function writeJson(document: JsonDocument): Buffer {
  return Buffer.from(JSON.stringify(document, undefined, 2));
}

/** Configs are written in one line, by everybody. */
function writeConfig(document: JsonDocument): Buffer {
  return Buffer.from(JSON.stringify(document));
}
