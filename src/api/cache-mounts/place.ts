import {
  formatReference,
  isTsbuildError,
  parseReference,
  withDefaultTag,
} from "../../core/index.ts";
import type { ContentSource, Descriptor } from "../../image/index.ts";
import { usageError } from "../errors.ts";
import { openRepository } from "../open-repository.ts";
import { openImage, type OpenImageOptions } from "../places/open-image.ts";
import { parsePlace, type Place } from "../places/parse-place.ts";

/** A place that can keep cache mounts. */
export type MountsPlace = Extract<Place, { readonly type: "registry" | "layout" | "oci-archive" }>;

/** What cache mounts are called in a directory or a file where nothing else is said. */
const usualRef = "cache-mounts";

/**
 * Reads where cache mounts go to or come from: `docker://NAME`, `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`; `./DIR` and
 * `/DIR` are directories too, and other names registries, as with `--cache-to`.
 * @throws USAGE, REFERENCE_INVALID
 */
export function parseMountsPlace(text: string): MountsPlace {
  if (/^\.{0,2}(?:\/|$)/.test(text) && text !== "") {
    return { type: "layout", text, path: text, ref: usualRef };
  }
  const place = parsePlace(text);
  switch (place.type) {
    case "registry":
      return place;
    case "store":
      return { type: "registry", text, reference: withDefaultTag(parseReference(text)) };
    case "layout":
    case "oci-archive":
      return { ...place, ref: place.ref ?? usualRef };
    case "docker-archive":
    case "directory":
      throw usageError(
        `keep cache mounts in ${text}: such a place is for images alone`,
        "write docker://NAME, oci:DIR:NAME, oci-archive:FILE, or ./DIR",
      );
  }
}

/** What stands in a place. Whoever opens it closes it. */
export interface FoundMounts {
  readonly source: ContentSource;
  readonly root: Descriptor;
  close(): Promise<void>;
}

/** Opens what has the name in a place; undefined when nothing has. @throws REGISTRY_*, ARCHIVE_* */
export async function findMounts(
  place: MountsPlace,
  options: OpenImageOptions,
): Promise<FoundMounts | undefined> {
  if (place.type === "registry") return findInRegistry(place, options);
  try {
    return await openImage(place, options);
  } catch (error) {
    if (isNothing(error)) return undefined;
    throw error;
  }
}

async function findInRegistry(
  place: Extract<MountsPlace, { readonly type: "registry" }>,
  { engine, insecure }: OpenImageOptions,
): Promise<FoundMounts | undefined> {
  const { reference } = place;
  const source = await openRepository(engine, { reference, access: "pull", insecure });
  const close = (): Promise<void> => source.close();
  try {
    const root = await source.resolve(formatReference(reference), engine.signal);
    if (root !== undefined) return { source, root, close };
  } catch (error) {
    await close();
    throw error;
  }
  await close();
  return undefined;
}

/** No file, no directory, an empty directory, or no such name in it. */
function isNothing(error: unknown): boolean {
  if (isTsbuildError(error, "ARCHIVE_NOT_FOUND")) return error.details["reason"] === "ENOENT";
  return isTsbuildError(error, "ARCHIVE_KIND_UNKNOWN") || isTsbuildError(error, "IMAGE_NOT_FOUND");
}
