import { StepLog } from "../../build/index.ts";
import { isIndexType, parsePlatform } from "../../core/index.ts";
import {
  maxManifestSize,
  parseIndex,
  readContent,
  type ContentSource,
  type Descriptor,
} from "../../image/index.ts";
import type { ManifestList } from "../../local/index.ts";
import type { MountSource } from "../../registry/index.ts";
import { copyTo } from "../copy-image.ts";
import { withEngine, type Engine, type EngineOptions } from "../engine.ts";
import { usageError } from "../errors.ts";
import { annotationsFor, parseAnnotation } from "../output/annotations.ts";
import { checkFolderOf } from "../output/places.ts";
import { removeReport, writeMetadata } from "../output/reports.ts";
import type { Annotation } from "../output/types.ts";
import { openImage, type OpenImageOptions } from "../places/open-image.ts";
import type { Place } from "../places/parse-place.ts";
import { mergeList } from "./edit-list.ts";
import {
  parseIndexSource,
  parseRemotePlace,
  readIndexSource,
  type IndexSource,
} from "./index-sources.ts";
import { openList } from "./list-source.ts";
import { siblingsOf } from "./push-list.ts";
import { resolveImages } from "./resolve-images.ts";
import { annotateEntries, onlyFor, withSaid } from "./shape-entries.ts";

export interface CreateIndexOptions extends EngineOptions {
  /** Names in registries, or other places. */
  readonly targets: readonly string[];
  /** Names, digests in the repository of the first target, or descriptors as JSON. */
  readonly sources: readonly string[];
  /** Files with a source in each. */
  readonly files?: readonly string[] | undefined;
  /** Add to what stands at the first target. */
  readonly append?: boolean | undefined;
  /** `index:key=value` or `manifest-descriptor[platform]:key=value`. */
  readonly annotations?: readonly string[] | undefined;
  /** Only the images for these, and what is attested of them. */
  readonly platforms?: readonly string[] | undefined;
  /** False: of one image alone no index is made. */
  readonly preferIndex?: boolean | undefined;
  /** Write nothing. */
  readonly dryRun?: boolean | undefined;
  readonly metadataFile?: string | undefined;
  readonly insecure?: boolean | undefined;
}

export interface CreatedIndex {
  readonly descriptor: Descriptor;
  readonly document: Buffer;
}

/**
 * Puts images that are in registries together as one index, and writes it to its targets at once. One source that is an
 * index, of which nothing is to change, is copied as it is.
 * @throws USAGE, IMAGE_*, REGISTRY_*, ARCHIVE_*
 */
export async function createIndex(options: CreateIndexOptions): Promise<CreatedIndex> {
  const targets = options.targets.map(parseRemotePlace);
  checkOptions(options);
  const annotations = readAnnotations(options.annotations ?? []);
  const { metadataFile, insecure } = options;
  if (metadataFile !== undefined) {
    await checkFolderOf(metadataFile);
    await removeReport(metadataFile);
  }
  return withEngine(options, async (engine) => {
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opening = { engine, steps, insecure };
    const assembled = await assemble({ ...options, targets, annotations }, opening);
    const { source, root } = assembled;
    try {
      const { signal } = engine;
      const limit = maxManifestSize;
      const document = await readContent({ source, descriptor: root, limit, signal });
      for (const to of options.dryRun === true ? [] : targets) {
        await copyTo(to, { ...opening, source, root, mountFrom: assembled.mountFrom(to) });
      }
      if (metadataFile !== undefined) {
        await writeMetadata(metadataFile, { descriptor: root, names: options.targets });
      }
      return { descriptor: root, document };
    } finally {
      await assembled.close();
    }
  });
}

function checkOptions({ sources, files = [], targets, dryRun, append }: CreateIndexOptions): void {
  if (sources.length + files.length === 0) {
    throw usageError("create an index of nothing: no sources specified", "name an image");
  }
  if (targets.length === 0 && (dryRun !== true || append === true)) {
    throw usageError(
      "create an index without a name: can't push with no tags specified",
      "set --tag; --dry-run only prints it",
    );
  }
}

function readAnnotations(texts: readonly string[]): readonly Annotation[] {
  const annotations = texts.flatMap(parseAnnotation);
  const wrong = annotations.find(
    ({ target }) => target !== "index" && target !== "manifest-descriptor",
  );
  if (wrong === undefined) return annotations;
  throw usageError(
    `annotate the ${wrong.target} with ${wrong.key}: images stay as they are`,
    "write index:key=value or manifest-descriptor:key=value; `tsbuild image mutate` changes images",
  );
}

interface Assembly extends Omit<CreateIndexOptions, "targets" | "annotations"> {
  readonly targets: readonly Place[];
  readonly annotations: readonly Annotation[];
}

interface Assembled {
  readonly source: ContentSource;
  readonly root: Descriptor;
  mountFrom(to: Place): MountSource | undefined;
  close(): Promise<void>;
}

async function assemble(assembly: Assembly, opening: OpenImageOptions): Promise<Assembled> {
  const { engine, insecure } = opening;
  const sources = await readSources(assembly, engine);
  const copied = await copyOfOne(sources, assembly, opening);
  if (copied !== undefined) return copied;
  let list: ManifestList = { name: "index", images: [] };
  const kept = assembly.append === true ? await annotationsOf(sources[0], opening) : {};
  for (const { text, said } of sources) {
    const found = await resolveImages(text, opening);
    list = mergeList(
      list,
      found.map((image) => withSaid(image, said)),
    );
  }
  const platforms = (assembly.platforms ?? []).map(parsePlatform);
  const images = annotateEntries(onlyFor(list.images, platforms), assembly.annotations);
  const annotations = { ...kept, ...annotationsFor(assembly.annotations, { target: "index" }) };
  list = { ...list, images, ...(Object.keys(annotations).length > 0 && { annotations }) };
  const opened = await openList(engine, list, { insecure });
  return { ...opened, mountFrom: (to) => siblingsOf(opened, to) };
}

async function readSources(
  { append, files = [], sources, targets }: Assembly,
  { signal }: Engine,
): Promise<readonly IndexSource[]> {
  const [first] = targets;
  const read: IndexSource[] = [];
  for (const path of files) read.push(await readIndexSource(path, { targets, signal }));
  return [
    ...(append === true && first !== undefined ? [{ text: first.text }] : []),
    ...read,
    ...sources.map((text) => parseIndexSource(text, targets)),
  ];
}

/** The only source as it is, where nothing is said of it. */
async function copyOfOne(
  [only, ...more]: readonly IndexSource[],
  { annotations, platforms = [], preferIndex = true }: Assembly,
  opening: OpenImageOptions,
): Promise<Assembled | undefined> {
  const isPlain = annotations.length === 0 && platforms.length === 0 && more.length === 0;
  if (only === undefined || !isPlain || only.said !== undefined) return undefined;
  const from = parseRemotePlace(only.text);
  const opened = await openImage(from, opening);
  if (isIndexType(opened.root.mediaType) || !preferIndex) {
    const mountFrom = (to: Place): MountSource | undefined =>
      from.type === "registry" && to.type === "registry"
        ? [from.reference].filter((each) => each.domain === to.reference.domain).map(pathOf)
        : undefined;
    return { ...opened, mountFrom };
  }
  await opened.close();
  return undefined;
}

function pathOf({ path }: { readonly path: string }): string {
  return path;
}

/** What an index that is added to says of itself. */
async function annotationsOf(
  source: IndexSource | undefined,
  opening: OpenImageOptions,
): Promise<Readonly<Record<string, string>>> {
  if (source === undefined) return {};
  const opened = await openImage(parseRemotePlace(source.text), opening);
  try {
    const { root: descriptor } = opened;
    if (!isIndexType(descriptor.mediaType)) return {};
    const { signal } = opening.engine;
    const limit = maxManifestSize;
    const bytes = await readContent({ source: opened.source, descriptor, limit, signal });
    return parseIndex(bytes, descriptor.mediaType).annotations ?? {};
  } finally {
    await opened.close();
  }
}
