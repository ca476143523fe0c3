import { Readable } from "node:stream";
import { digestOf, type Digest } from "../../core/index.ts";
import type { ContentSource, Descriptor } from "../../image/index.ts";

/**
 * A place with documents that were made here in front of it: whatever is not among them comes from behind. What is made
 * of an image without touching its layers is copied from such a place.
 */
export class OverlaySource implements ContentSource {
  readonly label: string;
  readonly #behind: ContentSource;
  readonly #documents = new Map<Digest, Buffer>();
  readonly #owners = new Map<Digest, ContentSource>();

  constructor(behind: ContentSource) {
    this.label = behind.label;
    this.#behind = behind;
  }

  /** Puts a document in front. */
  add(mediaType: string, bytes: Buffer): Descriptor {
    const digest = digestOf(bytes);
    this.#documents.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  /** Content that is in another place than the one behind. */
  claim(digest: Digest, owner: ContentSource): void {
    this.#owners.set(digest, owner);
  }

  async fetch(descriptor: Descriptor, signal?: AbortSignal): Promise<Readable> {
    const bytes = this.#documents.get(descriptor.digest);
    if (bytes !== undefined) return Readable.from([bytes], { objectMode: false });
    const owner = this.#owners.get(descriptor.digest) ?? this.#behind;
    return owner.fetch(descriptor, signal);
  }

  async resolve(name: string, signal?: AbortSignal): Promise<Descriptor | undefined> {
    return this.#behind.resolve(name, signal);
  }
}
