import type { LayerCompression, Platform } from "../../core/index.ts";

/** Where a build's result goes. @see docs/spec/dockerfile.md, 7.1 to 7.6 */
export type OutputSpec =
  | DirectoryOutput
  | TarOutput
  | ArchiveOutput
  | ImageOutput
  /** Nothing but the cache. */
  | { readonly type: "cacheonly" };

/** The files of the image in a directory. */
export interface DirectoryOutput {
  readonly type: "local";
  readonly destination: string;
  /** `copy` keeps what else is there, `delete` removes it. */
  readonly mode: "copy" | "delete";
  /** One sub-directory a platform; by default when several are built. */
  readonly platformSplit?: boolean;
}

/** The files of the image in a tar, with their owners. */
export interface TarOutput {
  readonly type: "tar";
  /** File name; `-` for standard output. */
  readonly destination: string;
  readonly platformSplit?: boolean;
}

/** `oci`: an OCI image layout. `docker`: an archive for docker load. */
export interface ArchiveOutput {
  readonly type: "oci" | "docker";
  /** File name; `-` for standard output. */
  readonly destination: string;
  /** A tar; otherwise the layout as a directory, which `oci` alone can be. */
  readonly isTar: boolean;
  readonly form: ImageForm;
}

/** The image in the store, and in its registry when `push` says so. */
export interface ImageOutput {
  readonly type: "image";
  readonly push: boolean;
  /** Without a tag: only the digest names it there. */
  readonly pushByDigest: boolean;
  /** The registry may have any certificate, or none. */
  readonly isInsecure: boolean;
  /** Whether the store names it. */
  readonly store: boolean;
  /** An image without a name is called `<this>@<digest>`. */
  readonly danglingPrefix?: string;
  readonly form: ImageForm;
}

/** How an image is laid out when it leaves. */
export interface ImageForm {
  /** Instead of the names of the build. */
  readonly names?: readonly string[];
  /** By default gzip, and none for an archive for docker load. */
  readonly compression?: LayerCompression;
  /** 0 to 9. */
  readonly compressionLevel?: number;
  /** Base layers too are brought into that compression. */
  readonly forceCompression: boolean;
  /** Docker's media types instead of OCI's. */
  readonly dockerTypes: boolean;
  readonly annotations: readonly Annotation[];
  /** Clamp the times of files in new layers to SOURCE_DATE_EPOCH. */
  readonly rewriteTimestamp: boolean;
}

/** A key and value that a document of the image is to have. */
export interface Annotation {
  readonly target: "manifest" | "manifest-descriptor" | "index" | "index-descriptor";
  /** Only for this platform. */
  readonly platform?: Platform;
  readonly key: string;
  readonly value: string;
}
