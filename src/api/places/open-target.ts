import { Readable } from "node:stream";
import type { ArchiveSink } from "../../archive/index.ts";
import {
  formatReference,
  formatRepository,
  parseReference,
  type Digest,
} from "../../core/index.ts";
import {
  maxManifestSize,
  plainDescriptor,
  readContent,
  type ContentSink,
  type Descriptor,
} from "../../image/index.ts";
import type { MountSource, RegistryRepository } from "../../registry/index.ts";
import type { Engine } from "../engine.ts";
import { openRepository } from "../open-repository.ts";
import { apiError, usageError } from "../errors.ts";
import { normaliseTag } from "../images.ts";
import type { Place } from "./parse-place.ts";

/** A place that an image is copied to. Whoever opens it ends it by `finish` or `abort`, and then closes it. */
export interface OpenedTarget {
  readonly sink: ContentSink;
  /** Absent where a place keeps images alone. */
  readonly referrers?: ReferrersSink;
  /** Gives what was copied the name that the place says; without a root, names stay as they are. */
  finish(root: Descriptor | undefined): Promise<void>;
  /** Takes back what can be: nothing has got a name. */
  abort(): Promise<void>;
  close(): Promise<void>;
}

/** Takes what is about images, after it was copied and before the target is finished. */
export interface ReferrersSink {
  /** Makes sure that these are found as what refers to `subject`. */
  list(subject: Digest, referrers: readonly Descriptor[]): Promise<void>;
  /** Puts something under a tag beside the image. */
  tag(tag: string, descriptor: Descriptor): Promise<void>;
}

export interface OpenTargetOptions {
  readonly engine: Engine;
  /** Where the image comes from. */
  readonly from?: Place | undefined;
  /** Repositories of the target's registry that may have the content: it is linked there. That of `from` unless given. */
  readonly mountFrom?: MountSource | undefined;
  readonly insecure?: boolean | undefined;
}

/** @throws USAGE, REFERENCE_INVALID, ARCHIVE_WRITE_FAILED */
export async function openTarget(place: Place, options: OpenTargetOptions): Promise<OpenedTarget> {
  switch (place.type) {
    case "store":
      return localTarget(place.name, options);
    case "registry":
      return remoteTarget(place, options);
    case "directory": {
      const { openImageDirectorySink } = await import("../../archive/index.ts");
      const sink = await openImageDirectorySink(place.path);
      const finish = async (root: Descriptor | undefined): Promise<void> =>
        root === undefined ? undefined : sink.finish(root);
      return { sink, finish, abort: nothing, close: nothing };
    }
    case "layout":
    case "oci-archive":
    case "docker-archive":
      return archiveTarget(place, options.engine);
  }
}

const nothing = (): Promise<void> => Promise.resolve();

function localTarget(text: string, { engine, from }: OpenTargetOptions): OpenedTarget {
  const name = normaliseTag(text);
  const { images, signal } = engine;
  // Only the registry that the name itself tells can be asked for the layers again.
  const isOrigin =
    from?.type === "registry" &&
    formatRepository(from.reference) === formatRepository(parseReference(name));
  const sink = images.sink({ fromRegistry: isOrigin });
  return {
    sink,
    finish: async (root) => {
      if (root === undefined) return;
      const image = await images.adopt(root);
      // Before a name stands for it. What a registry has, somebody has run.
      if (from?.type !== "registry") {
        const { members } = await images.groupOf(image);
        for (const member of members) await images.checkLayers(member.image, signal);
      }
      await sink.tag(name, root, signal);
    },
    abort: nothing,
    close: nothing,
  };
}

async function remoteTarget(
  place: Extract<Place, { readonly type: "registry" }>,
  options: OpenTargetOptions,
): Promise<OpenedTarget> {
  const { engine, from, insecure = false } = options;
  const { reference } = place;
  const isSibling = from?.type === "registry" && from.reference.domain === reference.domain;
  const mountFrom = options.mountFrom ?? (isSibling ? [from.reference.path] : []);
  const sink = await openRepository(engine, { reference, access: "push", insecure, mountFrom });
  return {
    sink,
    referrers: remoteReferrers(sink, engine.signal),
    finish: async (root) => {
      if (root === undefined) return;
      if (reference.digest !== undefined) return checkDigest(place, reference.digest, root);
      await sink.tag(formatReference(reference), root, engine.signal);
    },
    abort: nothing,
    close: () => sink.close(),
  };
}

function remoteReferrers(sink: RegistryRepository, signal: AbortSignal): ReferrersSink {
  return {
    list: async (subject, referrers) => {
      const known = await sink.listReferrers(subject, { signal });
      const listed = new Set(known.map(({ digest }) => digest));
      // One that was there already may be in no list: whoever pushed it was interrupted, or could not write the list.
      for (const entry of referrers.filter(({ digest }) => !listed.has(digest))) {
        const descriptor = plainDescriptor(entry);
        const bytes = await readContent({
          ...{ source: sink, descriptor, limit: maxManifestSize, signal },
        });
        await sink.push(descriptor, Readable.from([bytes], { objectMode: false }), signal);
      }
    },
    tag: (tag, descriptor) => sink.tag(tag, plainDescriptor(descriptor), signal),
  };
}

function checkDigest(place: Place, wanted: Digest, root: Descriptor): void {
  if (root.digest === wanted) return;
  throw apiError("IMAGE_CHANGED", `write ${place.text}: the image is another one`, {
    hint: "give a tag, or no tag and no digest for :latest",
    details: { expected: wanted, found: root.digest },
  });
}

async function archiveTarget(
  place: Extract<Place, { readonly type: "layout" | "oci-archive" | "docker-archive" }>,
  { signal }: Engine,
): Promise<OpenedTarget> {
  const { ref, path, type } = place;
  if (type === "docker-archive" && place.number !== undefined) {
    throw usageError(`write ${place.text}: numbers are for reading`, "give a name instead");
  }
  const { openArchiveSink, openLayoutSink } = await import("../../archive/index.ts");
  const flavor = type === "docker-archive" ? "docker" : "oci";
  const output = path === "-" ? process.stdout : path;
  const sink =
    type === "layout"
      ? await openLayoutSink(path, signal)
      : await openArchiveSink({ output, flavor });
  return {
    sink,
    ...(type === "docker-archive" ? {} : { referrers: archivedReferrers(sink) }),
    finish: async (root) => {
      if (root === undefined) return sink.finish();
      if (ref === undefined) sink.include(root);
      else if (flavor === "docker") await sink.tag(ref, root);
      else sink.nameAs(ref, root);
      await sink.finish();
    },
    abort: () => sink.abort(),
    close: nothing,
  };
}

function archivedReferrers(sink: ArchiveSink): ReferrersSink {
  return {
    list: (subject, referrers) => {
      for (const referrer of referrers) sink.includeReferrer(subject, referrer);
      return Promise.resolve();
    },
    tag: (tag, descriptor) => Promise.resolve(sink.nameAs(tag, plainDescriptor(descriptor))),
  };
}
