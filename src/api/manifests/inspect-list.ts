import { StepLog } from "../../build/index.ts";
import {
  formatReference,
  isIndexType,
  isManifestType,
  mediaTypes,
  type Digest,
  type Platform,
} from "../../core/index.ts";
import { maxManifestSize, readContent } from "../../image/index.ts";
import { openManifestLists, type ListedImage } from "../../local/index.ts";
import { withEngine, type Engine, type EngineOptions } from "../engine.ts";
import { readDocument } from "../inspect-place.ts";
import { normaliseTag } from "../images.ts";
import { openImage } from "../places/open-image.ts";
import { parsePlace, type Place } from "../places/parse-place.ts";
import { expectImages } from "./edit-list.ts";
import { writeIndex } from "./list-source.ts";
import { listImages } from "./resolve-images.ts";

export interface InspectListOptions extends EngineOptions {
  /** A list that is here, else an image or index anywhere. */
  readonly name: string;
  /** One image of the list, by digest or as it was named. */
  readonly image?: string | undefined;
  /** Each image with its manifest, in docker's words. */
  readonly verbose?: boolean | undefined;
  readonly insecure?: boolean | undefined;
}

/** JSON values, as scripts written for docker and podman expect them. @throws IMAGE_NOT_FOUND, REGISTRY_* */
export async function inspectList(options: InspectListOptions): Promise<unknown> {
  const found = await withEngine(options, async (engine) => inspectHere(engine, options));
  if (found !== undefined) return found;
  const isElsewhere = parsePlace(options.name).type !== "store";
  const place = isElsewhere ? options.name : await whereIs(options);
  if (options.verbose === true) return describeElsewhere(options, parsePlace(place));
  const bytes = await readDocument({ ...options, place, document: "manifest" });
  return JSON.parse(bytes.toString("utf8")) as unknown;
}

async function inspectHere(engine: Engine, options: InspectListOptions): Promise<unknown> {
  const place = parsePlace(options.name);
  if (place.type !== "store" || place.name.includes("@")) return undefined;
  const name = normaliseTag(place.name);
  const list = await openManifestLists(engine.store).get(name);
  if (list === undefined) return undefined;
  const { image: word, verbose } = options;
  const read = (digest: Digest): Promise<Buffer> =>
    engine.store.blobs.read(digest, maxManifestSize);
  if (word !== undefined) {
    const [image] = expectImages(list, word, { several: false });
    return image === undefined ? undefined : describeImage(image, read);
  }
  if (verbose === true) {
    return Promise.all(list.images.map((image) => describeImage(image, read)));
  }
  return JSON.parse(writeIndex(list).bytes.toString("utf8")) as unknown;
}

async function whereIs(options: InspectListOptions): Promise<string> {
  const isHere = await withEngine(options, async ({ images }) => images.find(options.name));
  return isHere === undefined ? `docker://${options.name}` : options.name;
}

/** One image as such, those of an index as a list. */
async function describeElsewhere(options: InspectListOptions, place: Place): Promise<unknown> {
  return withEngine(options, async (engine) => {
    const { signal } = engine;
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opened = await openImage(place, { engine, steps, insecure: options.insecure });
    const { source, root } = opened;
    try {
      const isIndex = isIndexType(root.mediaType);
      const name = place.type === "registry" ? formatReference(place.reference) : place.text;
      const described: DescribedImage[] = [];
      for (const descriptor of await listImages(opened, signal)) {
        const reference = isIndex ? `${name}@${descriptor.digest}` : name;
        const read = (): Promise<Buffer> =>
          readContent({ source, descriptor, limit: maxManifestSize, signal });
        described.push(await describeImage({ descriptor, reference }, read));
      }
      return isIndex ? described : described[0];
    } finally {
      await opened.close();
    }
  });
}

type DescribedImage = Readonly<Record<string, unknown>>;

/** In docker's words. */
async function describeImage(
  { descriptor, reference }: ListedImage,
  read: (digest: Digest) => Promise<Buffer>,
): Promise<DescribedImage> {
  const { mediaType, digest, size, platform } = descriptor;
  const described = {
    Ref: reference,
    Descriptor: { mediaType, digest, size, ...(platform && { platform: wirePlatform(platform) }) },
  };
  if (!isManifestType(mediaType)) return described;
  const bytes = await read(digest);
  const manifest = JSON.parse(bytes.toString("utf8")) as unknown;
  const field = mediaType === mediaTypes.dockerManifest ? "SchemaV2Manifest" : "OCIManifest";
  return { ...described, Raw: bytes.toString("base64"), [field]: manifest };
}

function wirePlatform({ osVersion, osFeatures, ...rest }: Platform): DescribedImage {
  return {
    ...rest,
    ...(osVersion === undefined ? {} : { "os.version": osVersion }),
    ...(osFeatures === undefined ? {} : { "os.features": osFeatures }),
  };
}
