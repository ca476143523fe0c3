import { lstat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Readable } from "node:stream";
import {
  archiveError,
  blobPath,
  openArchiveSource,
  openLayoutSink,
  type ArchiveSource,
  type LayoutSink,
} from "../../../archive/index.ts";
import type { CachePlace } from "../../../cache/index.ts";
import { isTsbuildError } from "../../../core/index.ts";
import { plainDescriptor, type Descriptor } from "../../../image/index.ts";
import type { Engine } from "../../engine.ts";
import { formatLocation, type CachePlaceSpec } from "./cache-spec.ts";

/**
 * A tag in the directory of an OCI layout. The directory is made when something is written to it. `reset` removes everything
 * else from it once the cache is there.
 */
export function openLocalPlace(request: {
  readonly engine: Engine;
  readonly spec: Extract<CachePlaceSpec, { readonly type: "local" }>;
  readonly reset?: boolean;
}): CachePlace {
  const { engine, spec, reset = false } = request;
  const directory = resolve(spec.directory);
  const openSink = (signal?: AbortSignal): Promise<LayoutSink> =>
    openLayoutSink(directory, signal ?? engine.signal);
  let sink: Promise<LayoutSink> | undefined;
  return {
    label: `directory ${directory}`,
    name: spec.digest ?? spec.tag,
    isExact: true,
    keepsWhatIsListed: false,
    location: formatLocation({ type: "local", src: directory }),
    resolve: async (name) => findIn(directory, name),
    fetch: async (descriptor) => fetchFrom(directory, descriptor),
    has: async ({ digest, size }) => {
      const found = await lstat(join(directory, blobPath(digest))).catch(() => undefined);
      return found?.isFile() === true && found.size === size;
    },
    push: async (descriptor, content, signal) =>
      (await (sink ??= openSink(signal))).push(descriptor, content, signal),
    tag: async (name, descriptor, signal) => {
      const naming = await openSink(signal);
      naming.nameAs(name, descriptor);
      await naming.finish();
    },
    tagInstead: async (manifest, before, signal) => {
      const naming = await openSink(signal);
      const isDone = naming.nameInstead(spec.tag, manifest, before?.digest);
      await naming.finish();
      if (isDone() && reset) await naming.removeUnnamed();
      return isDone();
    },
    close: () => Promise.resolve(),
  };
}

/** Opened for each look: the directory may change meanwhile, come to be, or go. */
async function openLayout(directory: string): Promise<ArchiveSource | undefined> {
  try {
    return await openArchiveSource({ input: directory });
  } catch (error) {
    // What is not there, or empty, has no cache in it.
    const isAbsent =
      isTsbuildError(error, "ARCHIVE_NOT_FOUND") || isTsbuildError(error, "ARCHIVE_KIND_UNKNOWN");
    if (isAbsent) return undefined;
    throw error;
  }
}

async function findIn(directory: string, name: string): Promise<Descriptor | undefined> {
  const layout = await openLayout(directory);
  const found = layout?.findCalled(name);
  await layout?.close();
  return found && plainDescriptor(found);
}

async function fetchFrom(directory: string, descriptor: Descriptor): Promise<Readable> {
  const layout = await openLayout(directory);
  if (layout === undefined) {
    throw archiveError("ARCHIVE_NOT_FOUND", `read directory ${directory}: it is not there`, {
      details: { path: directory },
    });
  }
  try {
    return await layout.fetch(descriptor);
  } finally {
    // What was opened in it stays open.
    await layout.close();
  }
}
