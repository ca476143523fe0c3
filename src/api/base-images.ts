import type { Readable } from "node:stream";
import type { StepLog } from "../build/index.ts";
import {
  chainIdOf,
  formatPlatform,
  hostPlatform,
  isTsbuildError,
  layerCompression,
  type Platform,
} from "../core/index.ts";
import { copyGraph, readImage, type ContentSink } from "../image/index.ts";
import type { FetchLayer, LayerRequest, LocalImage, PublishedLayer } from "../local/index.ts";
import type { BaseImage, OciLayout } from "../plan/index.ts";
import { openCachePlaces, type CachePlaces } from "./cache-places.ts";
import type { Engine } from "./engine.ts";
import { apiError } from "./errors.ts";
import { normaliseName } from "./images.ts";
import { missingInRegistry, nameImage } from "./missing-image.ts";
import { Repositories } from "./repositories.ts";

/** What building on an image asks for. */
type KnownImage = Pick<LocalImage, "id" | "config">;

/**
 * Images that something is built on or started from: looked for in the store first, then in their registry. Lazy: only
 * manifest and config are fetched; a layer comes when somebody needs its files.
 */
export class BaseImages {
  readonly #engine: Engine;
  readonly #pull: boolean;
  readonly #isLooking: boolean;
  readonly #repositories: Repositories;
  #places: CachePlaces | undefined;

  /** `pull`: ask the registry even for what is here. `onlyLook`: keep nothing of what it answers. */
  constructor(
    engine: Engine,
    options: { readonly pull: boolean; readonly onlyLook?: boolean | undefined },
  ) {
    this.#engine = engine;
    this.#pull = options.pull;
    this.#isLooking = options.onlyLook ?? false;
    this.#repositories = new Repositories(engine);
  }

  /** @throws REFERENCE_INVALID, REGISTRY_*, IMAGE_PLATFORM_NOT_FOUND */
  async resolve(
    reference: string,
    request: {
      readonly platform: Platform;
      readonly steps: StepLog;
      /** Look here alone; `reference` is what it is called then. */
      readonly layout?: OciLayout | undefined;
    },
  ): Promise<BaseImage> {
    const { platform, steps, layout } = request;
    if (layout !== undefined) {
      const engine = this.#engine;
      return steps.run(`[context ${reference}] load metadata for ${layout.path}`, async () => {
        const { lookIntoLayout, resolveLayout } = await import("./oci-layouts.ts");
        const open = this.#isLooking ? lookIntoLayout : resolveLayout;
        return open(layout, { name: reference, platform, engine });
      });
    }
    const name = normaliseName(reference);
    const here = await this.#engine.images.find(name, platform);
    const isRight = here !== undefined && isFor(here, platform);
    const image =
      isRight && !this.#pull
        ? here
        : await steps.run({ name: `[internal] load metadata for ${name}`, phase: "pull" }, () =>
            this.#fetchOr(here, { name, platform }),
          );
    return {
      reference: name,
      imageId: image.id,
      chainId: chainIdOf(image.config.diffIds),
      config: image.config,
    };
  }

  /** An image that was made here for another platform is better than none at all; planning warns about it. */
  async #fetchOr(
    here: LocalImage | undefined,
    wanted: { readonly name: string; readonly platform: Platform },
  ): Promise<KnownImage> {
    try {
      if (this.#isLooking) return await this.#lookAt(wanted);
      return await this.fetchImage(wanted.name, wanted.platform);
    } catch (error) {
      if (here === undefined || this.#pull || !isOutOfReach(error)) throw error;
      return here;
    }
  }

  /** Reads manifest and config of an image where it is. */
  async #lookAt(wanted: {
    readonly name: string;
    readonly platform: Platform;
  }): Promise<KnownImage> {
    const { name, platform } = wanted;
    const { signal } = this.#engine;
    const source = await this.#repositories.open(name);
    const root = await source.resolve(name, signal);
    if (root === undefined) throw await missingInRegistry(source, name, signal);
    const { manifest, config } = await readImage({ source, root, platform, signal }).catch(
      (error: unknown) => {
        throw nameImage(error, name);
      },
    );
    return { id: manifest.config.digest, config };
  }

  /** Fetches manifest and config of an image and names it in the store; `name` is in its full form. */
  async fetchImage(name: string, platform: Platform | undefined): Promise<LocalImage> {
    const { images, signal } = this.#engine;
    const repository = await this.#repositories.open(name);
    const root = await repository.resolve(name, signal);
    if (root === undefined) {
      throw await missingInRegistry(repository, name, signal);
    }
    const sink = images.sink({ fromRegistry: true });
    const wanted = platform ?? hostPlatform();
    const copied = await copyGraph({
      source: repository,
      sink: withoutLayers(sink),
      root,
      platform: wanted,
      keepIndex: true,
      signal,
    }).catch((error: unknown) => {
      throw nameImage(error, name);
    });
    await sink.tag(name, copied.root, signal);
    const image = await images.find(name, wanted);
    if (image !== undefined) return image;
    throw apiError("IMAGE_NOT_FOUND", `find ${formatPlatform(wanted)} in image ${name}`, {
      details: { image: name, platform: formatPlatform(wanted) },
    });
  }

  /** Fetches the layers for `image` from wherever it, or the image it was built on, came from. */
  layersOf(image: LocalImage): FetchLayer {
    return (descriptor, wanted) => this.fetchLayer(image, descriptor, wanted);
  }

  /** The same for one layer, and without an image for that of a step that another machine ran. */
  async fetchLayer(
    image: LocalImage | undefined,
    descriptor: PublishedLayer,
    wanted: LayerRequest,
  ): Promise<Readable> {
    if (image === undefined || descriptor.origins !== undefined) {
      return (this.#places ??= openCachePlaces(this.#engine)).fetch(descriptor, wanted);
    }
    const { offset = 0, signal } = wanted;
    let failure: Error | undefined;
    for (const name of await this.#origins(image)) {
      try {
        const repository = await this.#repositories.open(name);
        return await (offset === 0
          ? repository.fetch(descriptor, signal)
          : repository.fetchFrom(descriptor, offset, signal));
      } catch (error) {
        failure ??= error instanceof Error ? error : new Error(String(error));
      }
    }
    throw (
      failure ??
      apiError("IMAGE_NOT_FOUND", `find layer ${descriptor.digest} of image ${image.id}`, {
        hint: "the layer is not here and nothing tells which registry has it: pull the image again",
        details: { image: image.id, layer: descriptor.digest },
      })
    );
  }

  /** Names to ask for a layer: the image's own first, then every other image that came from a registry. */
  async #origins(image: LocalImage): Promise<readonly string[]> {
    const records = await this.#engine.store.names.list();
    const known = records.filter((record) => record.repoDigest !== undefined);
    const isOwn = (digest: string): boolean =>
      [image.id, image.manifest?.digest, image.base?.digest, image.root?.digest].includes(
        digest as LocalImage["id"],
      );
    return [
      ...known.filter((record) => isOwn(record.descriptor.digest)),
      ...known.filter((record) => !isOwn(record.descriptor.digest)),
    ].map((record) => record.name);
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await this.#repositories.close();
    await this.#places?.close();
  }
}

/** Whether a registry does not have an image, or does not give it to us: many say of a missing one that it is denied. */
function isOutOfReach(error: unknown): boolean {
  return outOfReach.some((code) => isTsbuildError(error, code));
}

const outOfReach = [
  ...["IMAGE_NOT_FOUND", "REGISTRY_NOT_FOUND", "REGISTRY_DENIED"],
  ...["REGISTRY_UNAUTHORIZED", "REGISTRY_UNREACHABLE"],
] as const;

/** A sink that says of layers that it has them, so that a graph copy brings only documents. */
export function withoutLayers(sink: ContentSink): ContentSink {
  return {
    label: sink.label,
    has: async (descriptor, signal) =>
      layerCompression(descriptor.mediaType) !== undefined || sink.has(descriptor, signal),
    push: (descriptor, content, signal) => sink.push(descriptor, content, signal),
    tag: (name, descriptor, signal) => sink.tag(name, descriptor, signal),
  };
}

/** Whether an image says of itself that it is made for a platform; variants are not compared. */
export function isFor(image: LocalImage, platform: Platform): boolean {
  const { os, architecture } = image.config;
  return os === platform.os && architecture === platform.architecture;
}
