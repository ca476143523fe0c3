import { createReadStream, read } from "node:fs";
import type { Readable } from "node:stream";
import type { OpenedFile } from "./types.ts";

/** An open file as a stream. */
export interface OpenContent {
  /** From the beginning of the file. It may be destroyed, or left in the middle: the file stays open. */
  readonly stream: Readable;
  /** Ends the reading and closes the file. */
  close(): Promise<void>;
}

/**
 * Reads an open file as a stream; `chunkSize` in bytes, 64 KiB unless given.
 *
 * Node's streams close the descriptor they were given when they are destroyed, `autoClose` or not, and they do it on another
 * thread. Whoever closes it as well closes what another step has opened under that number meanwhile. So this one never
 * closes, and the file is closed when no read is under way.
 */
export function openContent(
  file: Pick<OpenedFile, "fd" | "close">,
  options: { readonly chunkSize?: number } = {},
): OpenContent {
  const stream = createReadStream("", {
    fd: file.fd,
    autoClose: false,
    start: 0,
    ...(options.chunkSize === undefined ? {} : { highWaterMark: options.chunkSize }),
    fs: {
      read,
      close: (_fd: number, done: (error: null) => void) => {
        done(null);
      },
    },
  });
  return {
    stream,
    close: async () => {
      // Whoever reads is told of errors; one that the end of the reading makes is no failure.
      stream.on("error", () => undefined);
      const closed = new Promise<void>((resolve) => stream.once("close", resolve));
      const isClosed = stream.closed;
      stream.destroy();
      if (!isClosed) await closed;
      await file.close();
    },
  };
}
