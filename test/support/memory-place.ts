import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { TsbuildError, type Digest } from "../../src/core/index.ts";
import type { ContentSink, ContentSource, Descriptor } from "../../src/image/index.ts";

/** The simplest content place there can be; it remembers the order of what was pushed. */
export class MemoryPlace implements ContentSource, ContentSink {
  readonly label: string;
  readonly blobs = new Map<Digest, Buffer>();
  readonly names = new Map<string, Descriptor>();
  readonly pushed: Digest[] = [];
  readonly fetched: Digest[] = [];
  isOwn = false;

  constructor(label = "memory", blobs: ReadonlyMap<Digest, Buffer> = new Map()) {
    this.label = label;
    for (const [digest, bytes] of blobs) this.blobs.set(digest, bytes);
  }

  fetch(descriptor: Descriptor): Promise<Readable> {
    this.fetched.push(descriptor.digest);
    const bytes = this.blobs.get(descriptor.digest);
    if (bytes !== undefined) return Promise.resolve(Readable.from([bytes], { objectMode: false }));
    return Promise.reject(
      new TsbuildError({ code: "MEMORY_NOT_FOUND", message: `read ${descriptor.digest}` }),
    );
  }

  resolve(name: string): Promise<Descriptor | undefined> {
    return Promise.resolve(this.names.get(name));
  }

  has(descriptor: Descriptor): Promise<boolean> {
    return Promise.resolve(this.blobs.has(descriptor.digest));
  }

  async push(descriptor: Descriptor, content: Readable): Promise<void> {
    const bytes = await buffer(content);
    this.pushed.push(descriptor.digest);
    this.blobs.set(descriptor.digest, bytes);
  }

  tag(name: string, descriptor: Descriptor): Promise<void> {
    this.names.set(name, descriptor);
    return Promise.resolve();
  }
}
