import {
  formatReference,
  isTsbuildError,
  parseReference,
  splitCsv,
  withDefaultTag,
} from "../../core/index.ts";
import type { ContentSource, Descriptor } from "../../image/index.ts";
import { usageError } from "../errors.ts";
import { openObjectStorage } from "../object-storage.ts";
import { openRepository } from "../open-repository.ts";
import { openImage, type OpenImageOptions } from "../places/open-image.ts";
import { openTarget, type OpenedTarget, type OpenTargetOptions } from "../places/open-target.ts";
import { parsePlace, type Place } from "../places/parse-place.ts";

/** A place that can keep cache mounts. */
export type MountsPlace =
  | Extract<Place, { readonly type: "registry" | "layout" | "oci-archive" }>
  | {
      readonly type: "s3";
      /** Without what is secret. */
      readonly text: string;
      readonly fields: ReadonlyMap<string, string>;
    };

/** What cache mounts are called in a directory or a file where nothing else is said. */
const usualRef = "cache-mounts";

/**
 * Reads where cache mounts go to or come from: `docker://NAME`, `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`; `./DIR` and
 * `/DIR` are directories too, other names registries, and `type=s3,bucket=NAME,…` a bucket, as with `--cache-to`.
 * @throws USAGE, REFERENCE_INVALID
 */
export function parseMountsPlace(text: string): MountsPlace {
  if (/^\.{0,2}(?:\/|$)/.test(text) && text !== "") {
    return { type: "layout", text, path: text, ref: usualRef };
  }
  if (/^type=s3(?:,|$)/.test(text)) return parseBucket(text);
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
        "write docker://NAME, oci:DIR:NAME, oci-archive:FILE, ./DIR, or type=s3,bucket=NAME",
      );
  }
}

function parseBucket(text: string): MountsPlace {
  const fields = new Map<string, string>();
  for (const field of splitCsv(text).slice(1)) {
    const equals = field.indexOf("=");
    if (equals < 1) {
      throw usageError("read a place of type s3", "write each field as key=value");
    }
    const [key, value] = [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1)];
    if ((fields.get(key) ?? value) !== value) {
      throw usageError("read a place of type s3", `${key} is given twice: leave one out`);
    }
    fields.set(key, value);
  }
  // Caches of steps have a name of their own by default.
  const named = fields.has("name") ? fields : fields.set("name", usualRef);
  return { type: "s3", text: `bucket ${fields.get("bucket") ?? ""}`, fields: named };
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
  if (place.type === "s3") return findInBucket(place.fields, options);
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
  return findNamed(source, formatReference(reference), engine.signal);
}

async function findInBucket(
  fields: ReadonlyMap<string, string>,
  { engine }: OpenImageOptions,
): Promise<FoundMounts | undefined> {
  const source = await openObjectStorage(engine, fields);
  return findNamed(source, source.name, engine.signal);
}

/** What a place has under a name; it is closed where that is nothing. */
async function findNamed(
  source: ContentSource & { close(): Promise<void> },
  name: string,
  signal: AbortSignal,
): Promise<FoundMounts | undefined> {
  const close = (): Promise<void> => source.close();
  try {
    const root = await source.resolve(name, signal);
    if (root !== undefined) return { source, root, close };
  } catch (error) {
    await close();
    throw error;
  }
  await close();
  return undefined;
}

/** A place that is written to. */
export interface MountsTarget extends OpenedTarget {
  /**
   * In the place of `finish`, where a place compares: false when the name stands for something else than `before` by now,
   * and nothing was changed.
   */
  finishInstead?(root: Descriptor, before: Descriptor | undefined): Promise<boolean>;
}

/** Packs of a set that is being made have no name yet. */
const makingMs = 24 * 60 * 60 * 1000;

/** Removes what nothing in a directory leads to any more, and is too old to be on its way. @throws USAGE for other places */
export async function sweepMounts(place: MountsPlace, signal: AbortSignal): Promise<void> {
  const { openLayoutSink } = await import("../../archive/index.ts");
  const sink = await openLayoutSink(directoryToSweep(place), signal);
  await sink.removeUnnamed({ minAge: makingMs });
}

/** @throws USAGE for places that see to it themselves */
export function directoryToSweep(place: MountsPlace): string {
  if (place.type === "layout") return place.path;
  throw usageError(
    `sweep ${place.text}: that is for directories`,
    "a registry collects its own garbage; give a bucket a rule that ends objects by their age",
  );
}

/** Opens a place for writing. Whoever opens it ends it by `finish` or `abort`, and then closes it. */
export async function openMountsTarget(
  place: MountsPlace,
  options: OpenTargetOptions,
): Promise<MountsTarget> {
  if (place.type !== "s3") return openTarget(place, options);
  const { signal } = options.engine;
  const sink = await openObjectStorage(options.engine, place.fields);
  return {
    sink,
    finish: async (root) => (root === undefined ? undefined : sink.tag(sink.name, root, signal)),
    finishInstead: (root, before) => sink.tagInstead(root, before, signal),
    abort: () => Promise.resolve(),
    close: () => sink.close(),
  };
}

/** No file, no directory, an empty directory, or no such name in it. */
function isNothing(error: unknown): boolean {
  if (isTsbuildError(error, "ARCHIVE_NOT_FOUND")) return error.details["reason"] === "ENOENT";
  return isTsbuildError(error, "ARCHIVE_KIND_UNKNOWN") || isTsbuildError(error, "IMAGE_NOT_FOUND");
}
