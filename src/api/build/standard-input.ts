import { addAbortSignal, type Readable } from "node:stream";
import { coreError } from "../../core/index.ts";
import { apiError } from "../errors.ts";

/** A Dockerfile that comes from elsewhere than a file of this host may be so long, in bytes. */
const maxDockerfile = 2 * 1024 * 1024;

/** A stream that ends with CANCELED when `signal` is aborted, also while it waits for somebody to write. */
export async function* untilAborted(
  input: Readable,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  addAbortSignal(signal, input);
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    if (signal.aborted) throw coreError("CANCELED", "build: canceled", { cause: error });
    throw error;
  }
}

/** The whole of a Dockerfile that arrives as a stream. @throws DOCKERFILE_NOT_FOUND beyond 2 MiB */
export async function readDockerfileStream(
  content: AsyncIterable<Uint8Array>,
  label: string,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > maxDockerfile) {
      throw apiError(
        "DOCKERFILE_NOT_FOUND",
        `read the Dockerfile from ${label}: it is larger than 2 MB`,
        {
          hint: "check that it is a Dockerfile, and no archive or page",
          details: { limit: maxDockerfile },
        },
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
