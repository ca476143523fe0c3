import { stat } from "node:fs/promises";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  coreError,
  diskFull,
  errnoOf,
  explainSystemError,
  formatReference,
  hostPlatform,
  isIndexType,
  isManifestType,
  isDiskFull,
  isTsbuildError,
  mediaTypes,
  openOutputFile,
  parseReference,
  withDefaultTag,
  type Digest,
  type OutputFile,
  type Reference,
} from "../core/index.ts";
import {
  maxManifestSize,
  readContent,
  selectManifest,
  parseManifest,
  serializeIndex,
  type ContentSource,
  type Descriptor,
} from "../image/index.ts";
import { packArchive, type ArchiveMemberWithContent } from "../layer/index.ts";
import { blobPath } from "./archive-source.ts";
import { archiveError } from "./errors.ts";
import { isBesideImages } from "./layout-referrers.ts";
import { MemberQueue } from "./member-queue.ts";
import { calledEntry, namedEntry, referrerEntry, repoTag } from "./names.ts";
import type { ArchiveFlavor, ArchiveSink, OpenArchiveSinkOptions } from "./types.ts";

/** Nothing in an archive depends on when it was made. */
const epoch = new Date(0);

/**
 * Opens an archive for writing. Equal images pushed in the same order give equal bytes.
 * @throws ARCHIVE_WRITE_FAILED when the file cannot be made
 */
export async function openArchiveSink(options: OpenArchiveSinkOptions): Promise<ArchiveSink> {
  const target = await openTarget(options.output);
  return new TarSink(target, options.flavor);
}

interface Target extends OutputFile {
  readonly label: string;
}

async function openTarget(output: string | Writable): Promise<Target> {
  const nothing = (): Promise<void> => Promise.resolve();
  if (typeof output !== "string") {
    return { label: "the output stream", stream: output, commit: nothing, remove: nothing };
  }
  const found = await stat(output).catch(() => undefined);
  if (found?.isDirectory() === true) {
    throw archiveError("ARCHIVE_WRITE_FAILED", `write archive ${output}: it is a directory`, {
      hint: "give the name of a file in it",
      details: { path: output, reason: "EISDIR" },
    });
  }
  const told = (error: unknown): never => {
    throw writeError(error, output);
  };
  const file = await openOutputFile(output).catch(told);
  return { ...file, label: output, commit: async () => file.commit().catch(told) };
}

class TarSink implements ArchiveSink {
  readonly label: string;
  readonly isSequential = true;
  readonly #target: Target;
  readonly #flavor: ArchiveFlavor;
  readonly #queue = new MemberQueue();
  readonly #written: Promise<void>;
  readonly #blobs = new Set<Digest>();
  /** Manifests and indexes, which are needed again for `manifest.json`. */
  readonly #documents = new Map<Digest, Buffer>();
  readonly #folders = new Set<string>();
  /** What stands in the index, by name; nameless images by their digest. */
  readonly #entries = new Map<string, { descriptor: Descriptor; reference?: Reference }>();
  #state: "open" | "broken" | "finished" | "aborted" = "open";
  /** Why it is broken. */
  #failure: unknown;

  constructor(target: Target, flavor: ArchiveFlavor) {
    this.label = `archive ${target.label}`;
    this.#target = target;
    this.#flavor = flavor;
    this.#written = pipeline(packArchive(this.#queue.members()), target.stream);
    // Every waiting push is told, and `finish` throws it once more.
    this.#written.catch((error: unknown) => {
      if (this.#state === "open") this.#state = "broken";
      this.#failure = error;
      this.#queue.fail(writeError(error, target.label));
    });
  }

  has({ digest }: Descriptor): Promise<boolean> {
    return Promise.resolve(this.#blobs.has(digest));
  }

  async push(descriptor: Descriptor, content: Readable, signal?: AbortSignal): Promise<void> {
    const { digest, size, mediaType } = descriptor;
    this.#checkOpen();
    if (this.#blobs.has(digest)) return void content.destroy();
    if (isIndexType(mediaType) || isManifestType(mediaType)) {
      const bytes = await collect(content);
      this.#documents.set(digest, bytes);
      await this.#add(blobPath(digest), { size: bytes.length, content: bytes });
    } else {
      const stop = (): void =>
        void content.destroy(coreError("CANCELED", "write archive: canceled"));
      signal?.addEventListener("abort", stop, { once: true });
      try {
        await this.#add(blobPath(digest), { size, content: () => content });
      } finally {
        signal?.removeEventListener("abort", stop);
      }
    }
    this.#blobs.add(digest);
  }

  tag(name: string, descriptor: Descriptor): Promise<void> {
    const reference = withDefaultTag(parseReference(name));
    this.#entries.delete(formatReference(reference));
    this.#entries.set(formatReference(reference), { descriptor, reference });
    return Promise.resolve();
  }

  include(descriptor: Descriptor): void {
    this.#entries.set(descriptor.digest, { descriptor });
  }

  includeReferrer(subject: Digest, descriptor: Descriptor): void {
    this.include(referrerEntry(descriptor, subject));
  }

  nameAs(ref: string, descriptor: Descriptor): void {
    this.#entries.set(ref, { descriptor: calledEntry(descriptor, ref) });
  }

  async finish(): Promise<void> {
    this.#checkOpen();
    try {
      await this.#addText("index.json", serializeLayoutIndex([...this.#entries.values()]));
      if (this.#flavor === "docker") {
        await this.#addText("manifest.json", JSON.stringify(await this.#dockerManifest()));
      }
      await this.#addText("oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" }));
      this.#queue.end();
      await this.#written;
      await this.#target.commit();
      this.#state = "finished";
    } catch (error) {
      await this.abort();
      throw writeError(error, this.#target.label);
    }
  }

  async abort(): Promise<void> {
    if (this.#state === "finished" || this.#state === "aborted") return;
    this.#state = "aborted";
    this.#queue.fail(coreError("CANCELED", `write ${this.label}: given up`));
    this.#target.stream.destroy();
    await this.#written.catch(() => undefined);
    await this.#target.remove();
  }

  #checkOpen(): void {
    if (this.#state === "open") return;
    if (this.#state === "broken") throw writeError(this.#failure, this.#target.label);
    throw archiveError("ARCHIVE_WRITE_FAILED", `write ${this.label}: it is ${this.#state}`, {
      details: { path: this.#target.label, state: this.#state },
    });
  }

  #addText(name: string, content: string | Buffer): Promise<void> {
    const bytes = Buffer.from(content);
    return this.#add(name, { size: bytes.length, content: bytes });
  }

  async #add(
    name: string,
    file: { readonly size: number; readonly content: Buffer | (() => Readable) },
  ): Promise<void> {
    const folders = name.split("/").slice(0, -1);
    for (const [depth] of folders.entries()) {
      const folder = `${folders.slice(0, depth + 1).join("/")}/`;
      if (this.#folders.has(folder)) continue;
      this.#folders.add(folder);
      await this.#queue.add({
        name: folder,
        type: "directory",
        mode: 0o755,
        size: 0,
        mtime: epoch,
      });
    }
    const member: ArchiveMemberWithContent = {
      name,
      type: "file",
      mode: 0o644,
      mtime: epoch,
      ...file,
    };
    await this.#queue.add(member);
  }

  /** One entry per image; of an index, the image that fits this machine, since the format knows no indexes. */
  async #dockerManifest(): Promise<readonly unknown[]> {
    const entries = new Map<Digest, { Config: string; RepoTags: string[]; Layers: string[] }>();
    for (const { descriptor, reference } of this.#entries.values()) {
      if (isBesideImages(descriptor)) continue;
      const manifest = await this.#runnableManifest(descriptor);
      if (manifest === undefined) continue;
      const { config, layers } = parseManifest(manifest.bytes, manifest.mediaType);
      const entry = entries.get(manifest.digest) ?? {
        Config: blobPath(config.digest),
        RepoTags: [],
        Layers: layers.map(({ digest }) => blobPath(digest)),
      };
      const tag = reference === undefined ? undefined : repoTag(reference);
      if (tag !== undefined) entry.RepoTags.push(tag);
      entries.set(manifest.digest, entry);
    }
    return [...entries.values()];
  }

  async #runnableManifest(
    root: Descriptor,
  ): Promise<{ digest: Digest; mediaType: string; bytes: Buffer } | undefined> {
    const source = this.#documentSource();
    const platform = hostPlatform();
    try {
      const { manifest } = await selectManifest({ source, root, platform });
      if (!isManifestType(manifest.mediaType)) return undefined;
      const { digest, mediaType } = manifest;
      const descriptor = manifest;
      const bytes = await readContent({ source, descriptor, limit: maxManifestSize });
      return { digest, mediaType, bytes };
    } catch (error) {
      // An index of other platforms only, or one that is not here as a whole: Docker leaves it out too.
      const codes = ["IMAGE_PLATFORM_NOT_FOUND", "ARCHIVE_BLOB_NOT_FOUND"];
      if (isTsbuildError(error) && codes.includes(error.code)) return undefined;
      throw error;
    }
  }

  #documentSource(): ContentSource {
    const { label } = this;
    return {
      label,
      resolve: () => Promise.resolve(undefined),
      fetch: ({ digest }) => {
        const bytes = this.#documents.get(digest);
        if (bytes !== undefined) {
          return Promise.resolve(Readable.from([bytes], { objectMode: false }));
        }
        const message = `read ${digest} from ${label}: it is not there`;
        return Promise.reject(archiveError("ARCHIVE_BLOB_NOT_FOUND", message));
      },
    };
  }
}

function serializeLayoutIndex(
  entries: readonly { readonly descriptor: Descriptor; readonly reference?: Reference }[],
): Buffer {
  return serializeIndex({
    mediaType: mediaTypes.ociIndex,
    manifests: entries.map(({ descriptor, reference }) =>
      reference === undefined ? descriptor : namedEntry(descriptor, reference),
    ),
  });
}

async function collect(content: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function writeError(error: unknown, label: string): Error {
  if (isTsbuildError(error)) return error;
  const reason = errnoOf(error);
  if (isDiskFull(error)) return diskFull(`archive ${label}`, error);
  const known = explainSystemError(error);
  const told = error instanceof Error ? error.message : String(error);
  return archiveError("ARCHIVE_WRITE_FAILED", `write archive ${label}: ${told}`, {
    hint:
      reason === "ENOENT"
        ? "the folder does not exist"
        : ((isTsbuildError(known) ? known.hint : undefined) ??
          "check the place that it is written to, then try again"),
    details: { path: label, reason },
    cause: error,
  });
}
