import type { Readable } from "node:stream";
import {
  asRetryable,
  isRetryableError,
  isTsbuildError,
  type Digest,
  type RetryPolicy,
} from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { largestChunk, sendBlobInChunks, usualChunk } from "./chunked-upload.ts";
import type { Route } from "./route.ts";
import type { MountSource } from "./types.ts";
import {
  cancelUpload,
  openUpload,
  sendBlob,
  type UploadPlace,
  type UploadSession,
} from "./upload.ts";

/** Repositories that are asked for a mount before the blob is sent. */
const maxMounts = 3;

/** The blobs on their way to one repository. */
export class Uploads {
  readonly #route: Route;
  readonly #policy: RetryPolicy;
  readonly #mountFrom: MountSource;
  /** Uploads that were opened by asking for a mount in vain. */
  readonly #sessions = new Map<Digest, UploadSession>();
  /** How often blobs broke on their way in one piece. */
  readonly #broken = new Map<Digest, number>();
  /** A whole blob was too large for the registry. */
  #isLimited = false;

  constructor(route: Route, policy: RetryPolicy, mountFrom: MountSource) {
    this.#route = route;
    this.#policy = policy;
    this.#mountFrom = mountFrom;
  }

  /** Whether the registry links the blob from another of its repositories. */
  async mount(descriptor: Descriptor, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#sessions.has(descriptor.digest)) return false;
    const place = await this.open();
    for (const mountFrom of await this.#candidates(descriptor, signal)) {
      const session = await openUpload(place, { descriptor, mountFrom, signal }).catch(
        (error: unknown) => {
          if (signal?.aborted === true) throw error;
          // The other repository may be closed to us, and some registries know no mounts: then the blob is sent.
          return "refused" as const;
        },
      );
      if (session === undefined) return true;
      if (session === "refused") continue;
      this.#sessions.set(descriptor.digest, session);
      return false;
    }
    return false;
  }

  /** @throws REGISTRY_* codes; with details.isRetryable when it can be tried again with a fresh stream */
  async push(
    descriptor: Descriptor,
    content: Readable,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { digest } = descriptor;
    const place = await this.open();
    const opened = this.#sessions.get(digest);
    this.#sessions.delete(digest);
    const session = opened ?? (await openUpload(place, { descriptor, signal }));
    if (session === undefined) return;
    const upload = { session, descriptor, content, policy: this.#policy, signal };
    if (this.#wantsChunks(descriptor, session)) return sendBlobInChunks(place, upload);
    try {
      await sendBlob(place, upload);
    } catch (error) {
      await cancelUpload(place, session);
      throw this.#learn(descriptor, session, error);
    }
  }

  /** Cancels uploads that nobody used. */
  async close(): Promise<void> {
    if (this.#sessions.size === 0) return;
    const place = await this.open();
    for (const session of this.#sessions.values()) await cancelUpload(place, session);
    this.#sessions.clear();
  }

  /** Where blobs go. */
  async open(): Promise<UploadPlace> {
    const transport = await this.#route.primary();
    return { transport, host: transport.host.domain, path: transport.host.path };
  }

  /** Those with the longest beginning in common first: they are likelier to be open to the same people. */
  async #candidates(
    descriptor: Descriptor,
    signal: AbortSignal | undefined,
  ): Promise<readonly string[]> {
    const source = this.#mountFrom;
    const found = typeof source === "function" ? await source(descriptor, signal) : source;
    const { path } = (await this.#route.primary()).host;
    return [...new Set(found)]
      .filter((name) => name !== path && name !== "")
      .map((name) => ({ name, common: commonParts(name, path) }))
      .sort((a, b) => b.common - a.common)
      .slice(0, maxMounts)
      .map(({ name }) => name);
  }

  #wantsChunks({ digest }: Descriptor, { minChunk }: UploadSession): boolean {
    if (minChunk > largestChunk) return false;
    return this.#isLimited || (this.#broken.get(digest) ?? 0) >= 2;
  }

  /**
   * A blob that is too large in one piece, or that broke twice on its way, is sent in chunks the next time: a proxy that
   * limits requests often cuts the connection before it has said so.
   */
  #learn(descriptor: Descriptor, { minChunk }: UploadSession, error: unknown): unknown {
    const { digest, size } = descriptor;
    if (!isTsbuildError(error) || minChunk > largestChunk) return error;
    if (error.details["status"] === 413) {
      const wasKnown = this.#isLimited;
      this.#isLimited = true;
      // In chunks it may pass: then a fresh stream is all that is needed.
      return wasKnown ? error : asRetryable(error);
    }
    if (isRetryableError(error) && size > usualChunk) {
      this.#broken.set(digest, (this.#broken.get(digest) ?? 0) + 1);
    }
    return error;
  }
}

function commonParts(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  const different = left.findIndex((part, index) => part !== right[index]);
  return different < 0 ? left.length : different;
}
