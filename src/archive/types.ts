import type { Readable, Writable } from "node:stream";
import type { Digest } from "../core/index.ts";
import type { ContentSink, ContentSource, Descriptor } from "../image/index.ts";

/** An image that an archive offers: one entry of its index. */
export interface ArchivedImage {
  readonly descriptor: Descriptor;
  /** Normalised names; empty for an image that was saved by its ID. */
  readonly names: readonly string[];
  /** What the layout's own rule calls it (`org.opencontainers.image.ref.name`), as it stands there: any text. */
  readonly refs: readonly string[];
}

/** An archive that is read. Whoever opens it closes it. */
export interface ArchiveSource extends ContentSource {
  readonly kind: "oci-layout" | "docker-archive";
  /** In the archive's order; each image once. What only refers to another one is not among them. */
  readonly images: readonly ArchivedImage[];
  /** What names some content as its subject, each once. @throws IMAGE_INVALID, ARCHIVE_* */
  listReferrers(digest: Digest): Promise<readonly Descriptor[]>;
  /** What has this digest or is called so by the layout's own rule, image or not. */
  findCalled(ref: string): Descriptor | undefined;
  close(): Promise<void>;
}

export interface OpenArchiveSourceOptions {
  /** A tar, plain or compressed; the directory of an OCI layout; or a stream of a tar. */
  readonly input: string | Readable;
  /** Gives names to entries that say a tag only. */
  readonly repository?: string | undefined;
  /** `docker-archive`: by its `manifest.json`, also where an OCI layout lies beside that. */
  readonly readAs?: "docker-archive" | undefined;
  /** Folder for streams and compressed archives, which are written down to be read; the system's by default. */
  readonly tmpDir?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * - `docker`: an OCI layout with a `manifest.json` beside it, as `docker save` and BuildKit write it: readable as
 *   either kind.
 * - `oci`: an OCI layout and nothing else.
 */
export type ArchiveFlavor = "docker" | "oci";

/**
 * An archive that is written: push, tag, and then `finish`, or `abort` after a failure. A file appears under its name
 * when it is complete; until then, and after `abort`, what was there before stays.
 *
 * Into a tar one piece of content goes after the other. One that fails on its way breaks the whole archive, since a
 * tar cannot take back what is written: everything afterwards fails with ARCHIVE_WRITE_FAILED.
 */
export interface ArchiveSink extends ContentSink {
  readonly isSequential: boolean;
  /** Adds an image without a name. */
  include(descriptor: Descriptor): void;
  /** Adds what refers to `subject`, which is no image of its own. */
  includeReferrer(subject: Digest, descriptor: Descriptor): void;
  /** Adds an image that is called `ref`, any text, by the layout's own rule alone. One that was called so is so no more. */
  nameAs(ref: string, descriptor: Descriptor): void;
  /** Writes the index. @throws ARCHIVE_WRITE_FAILED, DISK_FULL */
  finish(): Promise<void>;
  /** Removes what was written. Does nothing after `finish`. */
  abort(): Promise<void>;
}

/** The directory of a layout that is written. */
export interface LayoutSink extends ArchiveSink {
  /**
   * `nameAs`, where by the time of `finish` the ref still stands for `before`; the answer, asked for afterwards, is whether
   * it did.
   */
  nameInstead(ref: string, descriptor: Descriptor, before: Digest | undefined): () => boolean;
  /**
   * Removes blobs that nothing leads to. Others may be writing to the directory: what is younger than `minAge`, in
   * milliseconds, stays. Without it only for a directory that nobody else is writing to.
   */
  removeUnnamed(options?: { readonly minAge?: number }): Promise<void>;
}

export interface OpenArchiveSinkOptions {
  /** A file to make or replace, or a stream that is ended by `finish`. */
  readonly output: string | Writable;
  readonly flavor: ArchiveFlavor;
}
