import { StepLog } from "../build/index.ts";
import { chainIdOf, parsePlatform, type Digest, type DiffId } from "../core/index.ts";
import type { LocalImage } from "../local/index.ts";
import type { MergedTree } from "../layer/index.ts";
import { BaseImages } from "./base-images.ts";
import { compareDocuments, type DocumentDifference } from "./compare/compare-documents.ts";
import { fieldsOf, nameLayer } from "./compare/compare-images.ts";
import { compareTrees, type FileDifference } from "./compare/compare-trees.ts";
import { withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { bringImage } from "./places/bring-image.ts";

/** A layer that the other image does not have at its place. */
export interface DifferingLayer {
  readonly diffId: DiffId;
  /** `layer 2 (RUN make)`. */
  readonly place: string;
  /** Bytes of its files. */
  readonly size: number;
}

export interface ComparedImage {
  readonly name: string;
  readonly id: Digest;
  /** Bytes of the files of all layers. */
  readonly size: number;
  /** From the first layer on that is not the same. */
  readonly layers: readonly DifferingLayer[];
}

export interface ImageDiff {
  readonly first: ComparedImage;
  readonly second: ComparedImage;
  readonly isSame: boolean;
  /** How many layers from the bottom both have. */
  readonly sharedLayers: number;
  /** Of the config, its layers left out. */
  readonly config: readonly DocumentDifference[];
  /** Of the filesystems that the images stand for, whichever layers they are made of. */
  readonly files: readonly FileDifference[];
}

/**
 * What differs between two images, wherever they are: their configs, layers and files. Both are unpacked for that.
 * @throws USAGE, PLATFORM_INVALID, IMAGE_*, REGISTRY_*, ARCHIVE_*, LAYER_*
 */
export async function diffImages(
  options: EngineOptions & {
    /** Places, see `parsePlace`. */
    readonly first: string;
    readonly second: string;
    readonly platform?: string | undefined;
    /** Tell of files of which only the time differs. */
    readonly times?: boolean | undefined;
    readonly insecure?: boolean | undefined;
  },
): Promise<ImageDiff> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  return withEngine(options, async (engine) => {
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const wanted = { engine, steps, platform, insecure: options.insecure };
    const [one, other] = [
      await bringImage(options.first, wanted),
      await bringImage(options.second, wanted),
    ];
    const { signal } = engine;
    const [tree, otherTree] = [await openTree(engine, one), await openTree(engine, other)];
    const files: FileDifference[] = [];
    const times = options.times === true;
    for await (const found of compareTrees(tree, otherTree, { times, signal })) files.push(found);
    const sharedLayers = countShared(one.config.diffIds, other.config.diffIds);
    return {
      first: await describeImage(engine, { image: one, name: options.first, sharedLayers }),
      second: await describeImage(engine, { image: other, name: options.second, sharedLayers }),
      isSame: one.id === other.id,
      sharedLayers,
      config: compareDocuments(fieldsOf(one), fieldsOf(other)),
      files,
    };
  });
}

async function openTree(engine: Engine, image: LocalImage): Promise<MergedTree> {
  const bases = new BaseImages(engine, { pull: false });
  try {
    const fetchLayer = bases.layersOf(image);
    const { signal } = engine;
    const chainId = await engine.images.ensureUnpacked(image, { fetchLayer, signal });
    return await engine.snapshots.tree(chainId);
  } finally {
    await bases.close();
  }
}

function countShared(ones: readonly DiffId[], others: readonly DiffId[]): number {
  const at = ones.findIndex((diffId, index) => others[index] !== diffId);
  return at < 0 ? ones.length : at;
}

async function describeImage(
  { snapshots }: Engine,
  request: {
    readonly image: LocalImage;
    readonly name: string;
    readonly sharedLayers: number;
  },
): Promise<ComparedImage> {
  const { image, name, sharedLayers } = request;
  const { diffIds } = image.config;
  const layers: DifferingLayer[] = [];
  for (const [index, diffId] of diffIds.entries()) {
    const chainId = chainIdOf(diffIds.slice(0, index + 1));
    const size = chainId === undefined ? 0 : ((await snapshots.stat(chainId))?.contentSize ?? 0);
    layers.push({ diffId, place: nameLayer(image, index), size });
  }
  const size = layers.reduce((sum, layer) => sum + layer.size, 0);
  return { name, id: image.id, size, layers: layers.slice(sharedLayers) };
}
