import type { JobThread } from "../../core/index.ts";
import { type Begun, DeflateCrew } from "./crew.ts";
import { longestInput, windowLength } from "./encoder.ts";

/** Fills memory and answers the filled part, which is shorter at the end alone. */
export type FillBlock = (room: Buffer) => Promise<Buffer>;

interface Running {
  readonly room: Buffer;
  readonly begun: Begun;
}

/**
 * Compresses by our own encoder, in blocks of `longestInput` that refer to the end of the one before; the last one is missing.
 * `thread` does it, too, where there is much, and more like it where there are cores for them.
 */
export async function* deflateBlocks(
  fill: FillBlock,
  thread: JobThread | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const crew = new DeflateCrew(thread);
  const running: Running[] = [];
  /** Memory of blocks that are done: the next ones take it. */
  const free: Buffer[] = [];
  let room = makeRoom();
  try {
    for (let [isLast, before] = [false, 0]; !isLast; before = windowLength) {
      const block = await fill(room.subarray(windowLength));
      isLast = block.length < longestInput;
      const next = isLast ? room : (free.pop() ?? makeRoom());
      // Before others work on this room.
      if (!isLast) room.copy(next, 0, longestInput);
      const bytes = room.subarray(windowLength - before, windowLength + block.length);
      if (block.length > 0) running.push({ room, begun: crew.begin({ bytes, before }) });
      room = next;
      while (running.length > crew.capacity || running[0]?.begun.isOver() === true) {
        const first = running.shift();
        if (first === undefined) break;
        yield await first.begun.finish();
        free.push(first.room);
      }
    }
    for (const { begun } of running) yield await begun.finish();
  } finally {
    await crew.close();
  }
}

/** A window and a block behind it. */
function makeRoom(): Buffer {
  return Buffer.from(new SharedArrayBuffer(windowLength + longestInput));
}
