import {
  readImage,
  type ContentSource,
  type Descriptor,
  type ImageDocuments,
  type Manifest,
} from "../../image/index.ts";
import { formatPlatform, type Platform } from "../../core/index.ts";
import { apiError } from "../errors.ts";
import { nameImage } from "../missing-image.ts";
import { openImage, type OpenedImage, type OpenImageOptions } from "../places/open-image.ts";
import { parsePlace } from "../places/parse-place.ts";
import { asDocument, type JsonDocument } from "./change-config.ts";

/** What an image says of the one that it was built on. @see OCI image spec, annotations.md */
export const baseAnnotations = {
  name: "org.opencontainers.image.base.name",
  digest: "org.opencontainers.image.base.digest",
} as const;

export interface RebaseOptions {
  /** Places; what the image's annotations say unless given. */
  readonly oldBase?: string | undefined;
  readonly newBase?: string | undefined;
}

/** An image's documents on another base. */
export interface RebasedImage {
  readonly config: JsonDocument;
  readonly layers: readonly Descriptor[];
  /** Where the layers of the new base are. */
  readonly baseSource: ContentSource;
  readonly baseLayers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** Opens each base once, for all platforms of an image. Whoever opens it closes it. */
export class Rebase {
  readonly #options: RebaseOptions;
  readonly #opening: OpenImageOptions;
  readonly #opened = new Map<string, Promise<OpenedImage>>();

  constructor(options: RebaseOptions, opening: OpenImageOptions) {
    this.#options = options;
    this.#opening = opening;
  }

  /**
   * Takes the layers of the old base away and puts those of the new one in their place, and the same with its history. No
   * file is looked at: what the upper layers hold has to fit.
   * @throws IMAGE_REBASE_REFUSED when the image does not begin with the old base
   */
  async rebase(
    image: {
      readonly manifest: Manifest;
      readonly config: JsonDocument;
      readonly diffIds: readonly string[];
    },
    platform: Platform,
  ): Promise<RebasedImage> {
    const { annotations = {} } = image.manifest;
    const [oldName, newName] = [this.#oldBase(annotations), this.#newBase(annotations)];
    const [old, base] = [await this.#read(oldName, platform), await this.#read(newName, platform)];
    const count = old.config.diffIds.length;
    const isOn = old.config.diffIds.every((diffId, index) => image.diffIds[index] === diffId);
    if (!isOn || count > image.diffIds.length) throw notOn(oldName, old, platform);
    const opened = await this.#open(newName);
    const place = parsePlace(newName);
    const shown = place.type === "registry" ? newName.replace(/^docker:\/\//, "") : newName;
    return {
      config: replaceBase(image, { old, base }),
      layers: [...base.manifest.layers, ...image.manifest.layers.slice(count)],
      baseSource: opened.source,
      baseLayers: base.manifest.layers,
      annotations: {
        [baseAnnotations.name]: shown.replace(/@sha256:.*$/, ""),
        [baseAnnotations.digest]: opened.root.digest,
      },
    };
  }

  async close(): Promise<void> {
    for (const opened of await Promise.allSettled(this.#opened.values())) {
      if (opened.status === "fulfilled") await opened.value.close();
    }
  }

  #oldBase(annotations: Readonly<Record<string, string>>): string {
    if (this.#options.oldBase !== undefined) return this.#options.oldBase;
    const { [baseAnnotations.name]: name, [baseAnnotations.digest]: digest } = annotations;
    if (name !== undefined && digest !== undefined) return `docker://${withoutTag(name)}@${digest}`;
    throw baseUnknown("old", "--old-base");
  }

  #newBase(annotations: Readonly<Record<string, string>>): string {
    if (this.#options.newBase !== undefined) return this.#options.newBase;
    const name = annotations[baseAnnotations.name];
    if (name !== undefined) return `docker://${name}`;
    throw baseUnknown("new", "--rebase");
  }

  async #read(text: string, platform: Platform): Promise<ImageDocuments> {
    const { source, root } = await this.#open(text);
    const { signal } = this.#opening.engine;
    return readImage({ source, root, platform, signal }).catch((error: unknown) => {
      throw nameImage(error, text);
    });
  }

  #open(text: string): Promise<OpenedImage> {
    const opened = this.#opened.get(text) ?? openImage(parsePlace(text), this.#opening);
    this.#opened.set(text, opened);
    return opened;
  }
}

/** Its tag moved on since; the digest says what it was. */
function withoutTag(name: string): string {
  return name.replace(/:[\w][\w.-]*$/, "");
}

function replaceBase(
  image: { readonly config: JsonDocument; readonly diffIds: readonly string[] },
  { old, base }: { readonly old: ImageDocuments; readonly base: ImageDocuments },
): JsonDocument {
  const { history } = image.config;
  const own = Array.isArray(history) ? history.slice(old.config.history.length) : [];
  const { history: below } = asDocument(JSON.parse(base.configBytes.toString("utf8")));
  return {
    ...image.config,
    rootfs: {
      ...asDocument(image.config["rootfs"]),
      diff_ids: [...base.config.diffIds, ...image.diffIds.slice(old.config.diffIds.length)],
    },
    history: [
      ...(Array.isArray(below) ? (below as readonly unknown[]) : []),
      ...(own as readonly unknown[]),
    ],
  };
}

function notOn(name: string, old: ImageDocuments, platform: Platform): Error {
  return apiError(
    "IMAGE_REBASE_REFUSED",
    `rebase the image for ${formatPlatform(platform)}: it does not begin with the layers of ${name}`,
    {
      hint: "give the base that it was built on with --old-base, by digest if its tag has moved on",
      details: { base: name, layers: old.config.diffIds },
    },
  );
}

function baseUnknown(which: string, flag: string): Error {
  return apiError("IMAGE_REBASE_REFUSED", `rebase the image: it does not say its ${which} base`, {
    hint: `name it with ${flag}; images that are annotated with ${baseAnnotations.name} and ${baseAnnotations.digest} say it themselves`,
  });
}
