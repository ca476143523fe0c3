import type { JobThread } from "../core/index.ts";
import { type ContentPlaces, contentPlaceSize, type RootPath } from "../layer/index.ts";
import { planFile } from "./attributes.ts";
import type { NodeAttributes } from "./types.ts";
import { asMade, numbersLength, type WriteJob } from "./write-job.ts";

/** A file whose content lies in a place of the queue. */
export interface QueuedFile {
  readonly path: RootPath;
  readonly absolute: Buffer;
  readonly attributes: NodeAttributes;
  /** Whether the directory that it is in may have given it its own group. */
  readonly mayGiveGroup: boolean;
  readonly content: Buffer;
}

/** Half a megabyte that both threads read: this one may hash it, the other one makes files of it. */
interface Chunk {
  readonly bytes: Buffer;
  readonly marks: Uint8Array;
  /** Files whose content is in it. */
  readonly files: QueuedFile[];
  /** How many of them the thread was told of. */
  posted: number;
  /** The last job that was about it. */
  job: number;
}

const chunks = 4;
const filesInChunk = 1024;
/** Files that are made here before a thread is started for others: it costs as much as these. */
const filesAlone = 500;

/**
 * Small files on their way to a second thread, which makes them while this one reads others. Their contents lie in the
 * memory in which the digest of the layer is taken, or where none is taken in what `reserve` gives. As long as the thread
 * has all of that memory in its hands, this thread writes what it reads itself: so both have always something to do.
 *
 * What was taken and may not be on the disk yet is known by its path (`isAwaited`): nothing else may be done there, or
 * below, before it was waited for.
 */
export class WriteQueue implements ContentPlaces {
  readonly #thread: JobThread;
  readonly #umask = process.umask();
  readonly #chunks: Chunk[] = [];
  readonly #alone = Buffer.allocUnsafeSlow(contentPlaceSize);
  /** What is being filled. */
  #current: Chunk | undefined;
  /** How much of it `reserve` gave. */
  #length = 0;
  /** In the order in which they were taken. */
  readonly #awaited = new Set<string>();
  readonly #refused = new Map<string, QueuedFile>();
  #filesAlone = 0;

  constructor(thread: JobThread) {
    this.#thread = thread;
  }

  /** Whether files may be missing on the disk that were taken. */
  get isBusy(): boolean {
    return this.#awaited.size > 0;
  }

  /** Whether that is so of the file at `path`. */
  isAwaited(path: RootPath): boolean {
    return this.#awaited.size > 0 && this.#awaited.has(key(path));
  }

  /** Whether the thread could not make some of the files: `settle` tells of them. */
  get hasRefused(): boolean {
    return this.#refused.size > 0;
  }

  next(): Buffer {
    this.#turn();
    // All of it is given away.
    this.#length = contentPlaceSize;
    return this.#current?.bytes ?? this.#alone;
  }

  /** A place for content of which nobody takes a digest; undefined when this thread has to write it. */
  reserve(size: number): Buffer | undefined {
    if (size > contentPlaceSize) return undefined;
    const isFull = this.#length + size > contentPlaceSize;
    const chunk = this.#current;
    if (chunk === undefined || isFull || chunk.files.length === filesInChunk) this.#turn();
    const start = this.#length;
    this.#length += size;
    return this.#current?.bytes.subarray(start, this.#length);
  }

  /** Takes a file over; false when its content lies elsewhere. */
  take(file: QueuedFile): boolean {
    if (++this.#filesAlone === filesAlone) this.#thread.start();
    const chunk = this.#current;
    if (chunk === undefined || file.content.buffer !== chunk.bytes.buffer) return false;
    if (chunk.files.length === filesInChunk) return false;
    chunk.files.push(file);
    this.#awaited.add(key(file.path));
    return true;
  }

  /**
   * Waits until the thread has made all files, and gives those that it could not make, in their order: nothing is left of
   * them, but what was in their way.
   */
  async settle(): Promise<readonly QueuedFile[]> {
    for (const chunk of this.#chunks) {
      this.#post(chunk);
      await this.#thread.over(chunk.job);
      this.#collect(chunk);
    }
    const refused = [...this.#awaited].flatMap((path) => this.#refused.get(path) ?? []);
    this.#refused.clear();
    this.#awaited.clear();
    return refused;
  }

  #turn(): void {
    if (this.#current !== undefined) this.#post(this.#current);
    this.#current = this.#free();
    this.#length = 0;
  }

  #free(): Chunk | undefined {
    if (!this.#thread.isReady) return undefined;
    for (const chunk of this.#chunks) {
      if (chunk.files.length > 0 && this.#thread.isOver(chunk.job)) this.#collect(chunk);
    }
    const free = this.#chunks.find(({ files }) => files.length === 0);
    return free ?? (this.#chunks.length < chunks ? this.#addChunk() : undefined);
  }

  #addChunk(): Chunk {
    const bytes = Buffer.from(new SharedArrayBuffer(contentPlaceSize));
    const marks = new Uint8Array(new SharedArrayBuffer(filesInChunk));
    const chunk: Chunk = { bytes, marks, files: [], posted: 0, job: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }

  /** Tells the thread of the files in `chunk` that it does not know yet. */
  #post(chunk: Chunk): void {
    if (chunk.posted === chunk.files.length) return;
    const files = chunk.files.slice(chunk.posted);
    const marks = chunk.marks.subarray(chunk.posted, chunk.files.length);
    chunk.posted = chunk.files.length;
    chunk.job = this.#thread.post(jobOf(files, { chunk, marks, umask: this.#umask }));
  }

  /** To be called when the last job about the chunk is over. */
  #collect(chunk: Chunk): void {
    for (const [index, file] of chunk.files.entries()) {
      const path = key(file.path);
      if (chunk.marks[index] === 1) this.#awaited.delete(path);
      else this.#refused.set(path, { ...file, content: Buffer.from(file.content) });
    }
    chunk.marks.fill(0);
    chunk.files.length = 0;
    chunk.posted = 0;
  }
}

function jobOf(
  files: readonly QueuedFile[],
  how: { readonly chunk: Chunk; readonly marks: Uint8Array; readonly umask: number },
): WriteJob {
  const numbers = new Float64Array(files.length * numbersLength);
  const times = new BigInt64Array(files.length);
  for (const [index, { attributes, mayGiveGroup, content }] of files.entries()) {
    const { owner, mode } = planFile({ attributes, mayGiveGroup, umask: how.umask });
    const madeWith = attributes.mode & 0o777;
    numbers.set(
      [
        content.byteOffset,
        content.length,
        madeWith,
        owner?.uid ?? asMade,
        owner?.gid ?? asMade,
        mode ?? asMade,
      ],
      index * numbersLength,
    );
    times[index] = attributes.mtime;
  }
  const paths = files.map(({ absolute }) => absolute.toString("latin1")).join("\0");
  const content = how.chunk.bytes;
  return { kind: "write", paths, numbers, times, content, marks: how.marks };
}

/** Latin-1 gives each byte string a string of its own. */
function key(path: RootPath): string {
  return path.toString("latin1");
}
