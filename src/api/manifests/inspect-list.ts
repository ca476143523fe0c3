import { isManifestType, mediaTypes } from "../../core/index.ts";
import { maxManifestSize } from "../../image/index.ts";
import { openManifestLists, type ListedImage } from "../../local/index.ts";
import { withEngine, type Engine, type EngineOptions } from "../engine.ts";
import { readDocument } from "../inspect-place.ts";
import { normaliseTag } from "../images.ts";
import { parsePlace } from "../places/parse-place.ts";
import { expectImages } from "./edit-list.ts";
import { writeIndex } from "./list-source.ts";

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
  if (word !== undefined) {
    const [image] = expectImages(list, word, { several: false });
    return image === undefined ? undefined : describeImage(engine, image);
  }
  if (verbose === true) {
    return Promise.all(list.images.map((image) => describeImage(engine, image)));
  }
  return JSON.parse(writeIndex(list).bytes.toString("utf8")) as unknown;
}

async function whereIs(options: InspectListOptions): Promise<string> {
  const isHere = await withEngine(options, async ({ images }) => images.find(options.name));
  return isHere === undefined ? `docker://${options.name}` : options.name;
}

/** In docker's words. */
async function describeImage(
  engine: Engine,
  { descriptor, reference }: ListedImage,
): Promise<Readonly<Record<string, unknown>>> {
  const { mediaType, digest, size, platform } = descriptor;
  const described = {
    Ref: reference,
    Descriptor: { mediaType, digest, size, ...(platform === undefined ? {} : { platform }) },
  };
  if (!isManifestType(mediaType)) return described;
  const bytes = await engine.store.blobs.read(digest, maxManifestSize);
  const manifest = JSON.parse(bytes.toString("utf8")) as unknown;
  const field = mediaType === mediaTypes.dockerManifest ? "SchemaV2Manifest" : "OCIManifest";
  return { ...described, [field]: manifest };
}
