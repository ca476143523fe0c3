import { type Digest, Digester } from "../../core/index.ts";
import type { LayerEntry } from "../types.ts";
import { blockSize, paddingOf } from "./format.ts";
import {
  usualHeaderSize,
  type UsualNode,
  writeUsualHeader,
  writeUsualNode,
} from "./usual-header.ts";
import { formatAnyHeader } from "./write-header.ts";

const chunkSize = 512 * 1024;

/** Where headers and small contents lie until they are hashed. */
export interface ContentPlaces {
  /** Memory of `contentPlaceSize` bytes. Of what it gave before nothing will be used any more. */
  next(): Buffer;
}

export const contentPlaceSize = chunkSize;

/** Of plain files (`PlainTree`), what such a place has room for, beside the headers. */
export const plainFilesAtOnce = { most: 64, bytes: contentPlaceSize / 2 };

/** Where the bytes of a tar go, in their order. */
export interface TarReceiver {
  /** Only what lies in a place that `ContentPlaces` gave stays as it is when this returns. */
  take(bytes: Uint8Array): void;
}

/** Digest and length of all that was taken. */
export interface TarTotals {
  readonly digest: Digest;
  readonly size: number;
}

const zeros = Buffer.alloc(2 * blockSize);
const { fill } = Uint8Array.prototype;

/**
 * Digest of the tar that `layerTarChunks` would write of the same entries, taken while they come, without a promise and
 * mostly without a copy: small contents are read straight into the place that `reserve` gives.
 *
 * ```ts
 * digester.header(entry);
 * read(fd, digester.reserve(entry.size));
 * digester.pad(entry.size);
 * ```
 */
export class LayerTarDigester {
  readonly #receiver: TarReceiver;
  readonly #digest = new DigestReceiver();
  #places: ContentPlaces = ownPlace();
  #chunk: Buffer | undefined;
  #length = 0;

  /** With a receiver, that one takes the digest, if somebody wants it. */
  constructor(receiver?: TarReceiver) {
    this.#receiver = receiver ?? this.#digest;
  }

  /** From the next piece on, `reserve` gives places in this memory. */
  usePlaces(places: ContentPlaces): void {
    this.flush();
    this.#places = places;
  }

  /** Begins an entry; a file's content and padding are to follow. */
  header(entry: LayerEntry): void {
    if (usualHeaderSize > chunkSize - this.#length) this.flush();
    const usual = writeUsualHeader(entry, this.#room(), this.#length);
    if (usual > 0) this.#length += usual;
    else this.#add(formatAnyHeader(entry));
  }

  /** The same of a file or a directory without attributes, whose time is from 1970 on. */
  usualHeader(node: UsualNode): void {
    if (usualHeaderSize > chunkSize - this.#length) this.flush();
    const usual = writeUsualNode(node, this.#room(), this.#length);
    if (usual > 0) this.#length += usual;
    else this.#add(formatAnyHeader({ ...node, mtime: mtimeOf(node) }));
  }

  /** A place for the next `size` bytes of content, to be filled before anything else is called. */
  reserve(size: number): Buffer {
    const at = this.skip(size);
    return this.#room().subarray(at, at + size);
  }

  /** The same, told by where it begins in the memory that `ContentPlaces` gave last. */
  skip(size: number): number {
    if (size > chunkSize) throw new Error("larger contents come in parts");
    if (size > chunkSize - this.#length) this.flush();
    this.#room();
    const at = this.#length;
    this.#length += size;
    return at;
  }

  /** The next part of some content. */
  content(part: Uint8Array): void {
    if (part.length < chunkSize / 8) {
      this.#add(part);
      return;
    }
    this.flush();
    this.#receiver.take(part);
  }

  /** Ends content of `size` bytes. */
  pad(size: number): void {
    const padding = paddingOf(size);
    const at = this.skip(padding);
    // Of a Buffer's own way to fill, V8 would compile a hundred lines.
    fill.call(this.#room(), 0, at, at + padding);
  }

  /** Hands over what lies in a place that is not full yet. */
  flush(): void {
    if (this.#length === 0 || this.#chunk === undefined) return;
    this.#receiver.take(this.#chunk.subarray(0, this.#length));
    this.#chunk = undefined;
    this.#length = 0;
  }

  /** Hands over the end of the tar; called once. */
  end(): void {
    this.#add(zeros);
    this.flush();
    this.#places = ownPlace();
  }

  /** The same where there is no receiver. */
  finish(): TarTotals {
    this.end();
    return this.#digest.finish();
  }

  #room(): Buffer {
    return (this.#chunk ??= this.#places.next());
  }

  #add(part: Uint8Array): void {
    if (part.length > chunkSize) {
      this.flush();
      this.#receiver.take(part);
    } else this.reserve(part.length).set(part);
  }
}

function mtimeOf({ seconds, nanoseconds }: UsualNode): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

class DigestReceiver implements TarReceiver {
  readonly #digester = new Digester();

  take(bytes: Uint8Array): void {
    this.#digester.update(bytes);
  }

  finish(): TarTotals {
    return { digest: this.#digester.digest(), size: this.#digester.size };
  }
}

/** The same memory again and again. */
function ownPlace(): ContentPlaces {
  let place: Buffer | undefined;
  return { next: () => (place ??= Buffer.allocUnsafeSlow(chunkSize)) };
}
