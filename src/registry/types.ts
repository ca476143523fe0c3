import type { Readable } from "node:stream";
import type { Digest, HttpClient, Reference, RetryPolicy } from "../core/index.ts";
import type { ContentSink, ContentSource, Descriptor } from "../image/index.ts";
import type { Environment } from "./auth-file.ts";
import type { ListOptions } from "./listings.ts";
import type { CredentialSource } from "./credentials.ts";

export interface OpenRegistryOptions {
  /** Which repository; tag and digest do not matter. */
  readonly reference: Pick<Reference, "domain" | "path">;
  /** What is asked of the token server: reading, or reading and writing. */
  readonly access: "pull" | "push";
  /** `findStoredCredentials()` by default. */
  readonly credentials?: CredentialSource | undefined;
  /** Accepts any certificate, and plain http when there is no TLS. Credentials are then sent in the clear. */
  readonly insecure?: boolean | undefined;
  /**
   * Repositories of the same registry that may have a layer already, the likeliest first: it is linked instead of sent.
   */
  readonly mountFrom?: MountSource | undefined;
  /** Shared connections; a client of its own is opened, and closed by `close`, when absent. */
  readonly client?: HttpClient | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** Texts that people should see: what the registry wants to tell, each once, and why they have to wait. */
  readonly onWarning?: ((text: string) => void) | undefined;
  /** Where certificates, mirrors and insecure registries are looked up: this process' environment and `/etc`. */
  readonly settings?: RegistrySettings | undefined;
}

export interface RegistrySettings {
  readonly env?: Environment | undefined;
  /** In place of `/etc`. */
  readonly system?: string | undefined;
}

/** Names of repositories, or who knows them for a certain layer. */
export type MountSource =
  | readonly string[]
  | ((descriptor: Descriptor, signal?: AbortSignal) => Promise<readonly string[]>);

/**
 * One repository of a registry as a content place.
 *
 * Names (`resolve`, `tag`) are a tag, a digest, or a whole reference of this repository. As a source, mirrors are asked
 * before the registry itself, and interrupted downloads go on where they broke off. As a sink, everything is idempotent;
 * blobs that fail with `details.isRetryable` can be pushed again with a fresh stream, which `copyGraph` does. A manifest
 * with a subject is entered among the subject's referrers.
 *
 * @throws REGISTRY_UNREACHABLE, REGISTRY_UNAUTHORIZED, REGISTRY_DENIED, REGISTRY_NOT_FOUND, REGISTRY_LIMITED,
 * REGISTRY_FAILED, REGISTRY_ANSWER_INVALID, REGISTRY_TARGET_REFUSED, REGISTRY_CREDENTIALS_INVALID,
 * REGISTRY_SETTINGS_INVALID, REGISTRY_BLOCKED, CANCELED from every method
 * @see OCI distribution spec
 */
export interface RegistryRepository extends ContentSource, ContentSink {
  fetchFrom(descriptor: Descriptor, offset: number, signal?: AbortSignal): Promise<Readable>;
  readonly hasChildrenToo: true;
  /**
   * Begins to send a blob while it is being made, whose digest nobody knows yet. See `BlobInTheMaking`. Where one was
   * swallowed on its way, no other is sent.
   */
  beginBlob(options?: BeginBlobOptions): BlobInTheMaking;
  /**
   * What a tag stands for in the registry itself, whatever mirrors say; undefined where there is no such tag, or nobody
   * may look, or the registry does not tell.
   */
  standsFor(tag: string, signal?: AbortSignal): Promise<Digest | undefined>;
  /** Its tags, in the registry's order. */
  listTags(options?: ListOptions): AsyncIterable<string>;
  /** What names some content as its subject, each once; empty also when nobody knows that content. */
  listReferrers(
    digest: Digest,
    options?: {
      readonly artifactType?: string | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<readonly Descriptor[]>;
  /** Removes one tag and nothing else. @throws REGISTRY_UNSUPPORTED where the registry does not do that */
  deleteTag(tag: string, signal?: AbortSignal): Promise<void>;
  /**
   * Removes a manifest or index by its digest, with all its tags, and from the referrers of its subject. Layers stay.
   * @throws REGISTRY_UNSUPPORTED where the registry does not do that
   */
  deleteManifest(digest: Digest, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface BeginBlobOptions {
  /** Called with the number of bytes that are on their way. */
  readonly onSent?: ((size: number) => void) | undefined;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A blob on its way to a registry before it is whole. It promises nothing and never fails: nothing is sent twice, and what
 * goes wrong ends it. Whoever made the blob pushes it afterwards as any other; mostly it is there by then.
 *
 * ```ts
 * const blob = repository.beginBlob({ signal });
 * for await (const chunk of chunks) blob.write(chunk);
 * await blob.finish(descriptor, openWhole); // or cancel()
 * ```
 */
export interface BlobInTheMaking {
  /** The next bytes, which nobody changes afterwards. Nobody waits: a slow registry gets them from `open` later. */
  write(chunk: Uint8Array): void;
  /** Tells what the bytes are together. Resolves when the blob is there, or was given up. */
  finish(descriptor: Descriptor, open: () => Promise<Readable>): Promise<void>;
  /** Gives it up. */
  cancel(): Promise<void>;
}
