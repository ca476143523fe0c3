import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { diffId, type Digest, digestHex, digestOf, mediaTypes } from "../../src/core/index.ts";
import {
  type Descriptor,
  parseIndex,
  parseManifest,
  serializeImageConfig,
  serializeIndex,
  serializeManifest,
} from "../../src/image/index.ts";
import { imageConfig } from "./image-maker.ts";

const tagAnnotation = "org.opencontainers.image.ref.name";

/** Writes an OCI layout with one image of these plain layer tars, without any help of what is tested. */
export async function writeLayout(
  folder: string,
  { tag, layers: tars }: { readonly tag: string; readonly layers: readonly Buffer[] },
): Promise<void> {
  await mkdir(join(folder, "blobs/sha256"), { recursive: true });
  const add = async (mediaType: string, bytes: Buffer): Promise<Descriptor> => {
    const digest = digestOf(bytes);
    await writeFile(blobPath(folder, digest), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const layers: Descriptor[] = [];
  for (const tar of tars) layers.push(await add(mediaTypes.ociLayer, tar));
  const diffIds = layers.map(({ digest }) => diffId(digest));
  const config = await add(mediaTypes.ociConfig, serializeImageConfig(imageConfig(diffIds)));
  const mediaType = mediaTypes.ociManifest;
  const manifest = await add(mediaType, serializeManifest({ mediaType, config, layers }));
  const manifests = [{ ...manifest, annotations: { [tagAnnotation]: tag } }];
  const index = serializeIndex({ mediaType: mediaTypes.ociIndex, manifests });
  await writeFile(join(folder, "index.json"), index);
  await writeFile(join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}

/** Layer blobs of a layout's image, bottom first, compressed or not as they lie there. */
export async function readLayers(folder: string, tag: string): Promise<Buffer[]> {
  const index = parseIndex(await readFile(join(folder, "index.json")), mediaTypes.ociIndex);
  const found = index.manifests.find(({ annotations }) => annotations?.[tagAnnotation] === tag);
  if (found === undefined) throw new Error(`no image ${tag} in ${folder}`);
  const { layers } = parseManifest(await readFile(blobPath(folder, found.digest)), found.mediaType);
  return Promise.all(layers.map(async ({ digest }) => readFile(blobPath(folder, digest))));
}

function blobPath(folder: string, digest: Digest): string {
  return join(folder, "blobs/sha256", digestHex(digest));
}
