import { join } from "node:path";
import { digestAlgorithm, digestHex, digestOf, type Digest } from "../core/index.ts";

/** Where things lie below the state root. */
export interface StoreLayout {
  readonly root: string;
  readonly version: string;
  readonly blobs: string;
  /** Made when it is first needed. */
  readonly partial: string;
  readonly names: string;
  readonly layerBlobs: string;
  /** Made when it is first needed. */
  readonly layerOrigins: string;
  readonly mountsCache: string;
  readonly locks: string;
  readonly tmp: string;
}

export function storeLayout(root: string): StoreLayout {
  return {
    root,
    version: join(root, "version.json"),
    blobs: join(root, "blobs"),
    partial: join(root, "partial"),
    names: join(root, "names"),
    layerBlobs: join(root, "layer-blobs"),
    layerOrigins: join(root, "layer-origins"),
    mountsCache: join(root, "mounts-cache"),
    locks: join(root, "locks"),
    tmp: join(root, "tmp"),
  };
}

export function blobPath(blobs: string, digest: Digest): string {
  return join(blobs, digestAlgorithm(digest), digestHex(digest));
}

/**
 * A file name for any text: readable where it can be, without `/`, never hidden, at most 200 bytes. Long texts are named
 * by their digest, as a path component ends at 255 bytes and an image name may have 400.
 */
export function fileNameFor(text: string): string {
  const encoded = encodeURIComponent(text).replaceAll("~", "%7E").replace(/^\./, "%2E");
  return encoded.length > 0 && encoded.length <= 200 ? encoded : `~${digestHex(digestOf(text))}`;
}
