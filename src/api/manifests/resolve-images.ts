import type { StepLog } from "../../build/index.ts";
import {
  formatReference,
  formatRepository,
  isIndexType,
  isManifestType,
  parseReference,
  withDefaultTag,
} from "../../core/index.ts";
import {
  configPlatform,
  copyGraph,
  maxConfigSize,
  maxManifestSize,
  parseImageConfig,
  parseIndex,
  parseManifest,
  plainDescriptor,
  readContent,
  type ContentSink,
  type ContentSource,
  type Descriptor,
} from "../../image/index.ts";
import type { ListedImage } from "../../local/index.ts";
import { withoutLayers } from "../base-images.ts";
import type { Engine } from "../engine.ts";
import { usageError } from "../errors.ts";
import { openImage, type OpenedImage } from "../places/open-image.ts";
import { parsePlace, type Place } from "../places/parse-place.ts";

export interface ResolveOptions {
  readonly engine: Engine;
  readonly steps: StepLog;
  readonly insecure?: boolean | undefined;
}

/**
 * The images that a word stands for, as entries of a list: one, or all of an index, those inside other indexes too. Their
 * manifests and configs are in the store afterwards; layers stay where they are. A name without `docker://` is looked for
 * in the store first.
 * @throws IMAGE_*, REGISTRY_*, ARCHIVE_*; USAGE for what is none of an image's places
 */
export async function resolveImages(
  word: string,
  options: ResolveOptions,
): Promise<readonly ListedImage[]> {
  const { engine } = options;
  const place = await chooseStore(parsePlace(word), engine);
  const image = await openImage(place, options);
  try {
    const { source, root } = image;
    await copyGraph({ source, sink: sinkFor(place, engine), root, signal: engine.signal });
    const origin = originOf(place);
    const entries = await listImages(image, engine.signal);
    return entries.map((descriptor) => ({ descriptor, ...origin }));
  } finally {
    await image.close();
  }
}

/** Layers come along from archives only: a registry, and this store, can be asked for them when the list is pushed. */
function sinkFor({ type }: Place, { images }: Engine): ContentSink {
  return type === "registry" || type === "store" ? withoutLayers(images.sink()) : images.sink();
}

/** Under which name an image of a list is found again. */
export function referenceOf(word: string): string {
  const place = parsePlace(word);
  return originOf(place).reference;
}

function originOf(place: Place): Omit<ListedImage, "descriptor"> {
  if (place.type === "registry") {
    const repository = formatRepository(place.reference);
    return { reference: formatReference(place.reference), repository };
  }
  if (place.type !== "store") return { reference: place.text };
  if (isId(place.name)) return { reference: place.name };
  return { reference: formatReference(withDefaultTag(parseReference(place.name))) };
}

function isId(name: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{12,64}$/.test(name);
}

async function chooseStore(place: Place, engine: Engine): Promise<Place> {
  if (place.type !== "store" || isId(place.name)) return place;
  if ((await engine.images.find(place.name)) !== undefined) return place;
  return parsePlace(`docker://${place.name}`);
}

/** Manifests below a root, outermost first, each with its platform. Each of `seen`, the indexes below it, is read once. */
export async function listImages(
  { source, root }: Pick<OpenedImage, "source" | "root">,
  signal: AbortSignal,
  seen = new Set<string>(),
): Promise<readonly Descriptor[]> {
  if (seen.has(root.digest)) return [];
  seen.add(root.digest);
  if (!isIndexType(root.mediaType)) {
    if (isManifestType(root.mediaType)) return [await withPlatform(source, root, signal)];
    throw usageError(`list ${root.digest}: ${root.mediaType} is no image`, "name an image");
  }
  const bytes = await readContent({ source, descriptor: root, limit: maxManifestSize, signal });
  const found: Descriptor[] = [];
  for (const entry of parseIndex(bytes, root.mediaType).manifests) {
    if (isIndexType(entry.mediaType))
      found.push(...(await listImages({ source, root: entry }, signal, seen)));
    else found.push(await withPlatform(source, entry, signal));
  }
  return found;
}

/** What an index does not say of an image's platform, its config does. */
async function withPlatform(
  source: ContentSource,
  entry: Descriptor,
  signal: AbortSignal,
): Promise<Descriptor> {
  if (entry.platform !== undefined || !isManifestType(entry.mediaType)) return entry;
  const plain = {
    ...plainDescriptor(entry),
    ...(entry.annotations && { annotations: entry.annotations }),
  };
  const limit = maxManifestSize;
  const manifest = parseManifest(
    await readContent({ source, descriptor: entry, limit, signal }),
    entry.mediaType,
  );
  if (manifest.artifactType !== undefined) return { ...plain, artifactType: manifest.artifactType };
  const config = parseImageConfig(
    await readContent({ source, descriptor: manifest.config, limit: maxConfigSize, signal }),
  );
  return { ...plain, platform: configPlatform(config) };
}
