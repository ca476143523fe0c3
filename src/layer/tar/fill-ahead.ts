import type { JobThread } from "../../core/index.ts";
import { type FillJob, placeLength } from "./fill-job.ts";

/** A piece of a tar; contents of files may still be missing in it. */
export interface Piece {
  readonly bytes: Buffer;
  readonly files: readonly MissingFile[];
  /** The memory that it lies in, where that can be used again. */
  readonly room?: Buffer;
}

/** A file whose content belongs into a piece. */
export interface MissingFile {
  /** Absolute path of a file that does not change any more. */
  readonly path: Buffer;
  readonly at: number;
  readonly size: number;
  /** Where in the file the content begins. */
  readonly from: number;
  /** Puts the content into its place, in this thread. @throws what is wrong with it */
  readonly fill: (place: Buffer) => void;
}

/** Pieces that wait for their files, or for their reader: so far one thread may be ahead of the other. */
const ahead = 3;
/** What the thread has in hand and what it does next. */
const postedAtMost = 2;
/**
 * To start a thread costs as much as to read some hundred files, and 25 MB: so many pieces of small files are worth it, a
 * large file is not.
 */
const worthThread = 4;

/**
 * The pieces in their order, filled. Files are read by `thread` while this thread makes the headers of the next pieces;
 * where that is faster, it reads some itself.
 */
export async function* fillAhead(
  pieces: AsyncIterable<Piece>,
  thread: JobThread,
): AsyncGenerator<Piece, void, undefined> {
  const waiting: Filling[] = [];
  let count = 0;
  for await (const piece of pieces) {
    if (piece.files.length > 1 && ++count === worthThread) thread.start();
    waiting.push(begin(piece, { thread, waiting }));
    const first = waiting.length > ahead ? waiting.shift() : undefined;
    if (first === undefined) continue;
    await finish(first, thread);
    yield first.piece;
  }
  for (const filling of waiting) {
    await finish(filling, thread);
    yield filling.piece;
  }
}

interface Filling {
  readonly piece: Piece;
  /** Absent: filled already. */
  readonly posted?: { readonly job: number; readonly done: Int32Array };
}

function begin(
  piece: Piece,
  { thread, waiting }: { readonly thread: JobThread; readonly waiting: readonly Filling[] },
): Filling {
  const { bytes, files } = piece;
  const inHand = waiting.filter(({ posted }) => posted && !thread.isOver(posted.job)).length;
  if (files.length === 0 || !thread.isReady || inHand >= postedAtMost) {
    fillHere(piece);
    return { piece };
  }
  const done = new Int32Array(new SharedArrayBuffer(4));
  const job: FillJob = { kind: "fill", bytes, ...whereIn(files), done };
  return { piece, posted: { job: thread.post(job), done } };
}

function whereIn(files: readonly MissingFile[]): Pick<FillJob, "paths" | "places"> {
  const places = new Float64Array(placeLength * files.length);
  let start = 0;
  for (const [index, { path, at, size, from }] of files.entries()) {
    places.set([start, at, size, from], placeLength * index);
    start += path.length + 1;
  }
  return { paths: Buffer.concat(files.flatMap(({ path }) => [path, nul])), places };
}

const nul = Buffer.alloc(1);

async function finish({ piece, posted }: Filling, thread: JobThread): Promise<void> {
  if (posted === undefined) return;
  await thread.over(posted.job);
  if (Atomics.load(posted.done, 0) !== 1) fillHere(piece);
}

function fillHere({ bytes, files }: Piece): void {
  for (const { at, size, fill } of files) fill(bytes.subarray(at, at + size));
}
