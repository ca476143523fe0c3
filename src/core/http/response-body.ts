import { Readable } from "node:stream";
import type { HttpResponse } from "./client.ts";

/** The body up to `limit` bytes; what is beyond is thrown away. For small documents and for error texts. */
export async function readBody(response: HttpResponse, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    const bytes = chunk as Buffer;
    chunks.push(bytes.subarray(0, limit - size));
    size += bytes.length;
    if (size >= limit) break;
  }
  return Buffer.concat(chunks);
}

/** The same answer with its body, up to `limit` bytes, in memory: the connection cannot break under its reader. */
export async function withBodyRead(response: HttpResponse, limit: number): Promise<HttpResponse> {
  const body = await readBody(response, limit);
  return { ...response, body: Readable.from([body], { objectMode: false }) };
}

/** Reads a body that nobody wants to its end, if it is short, so that the connection can be used again. */
export async function discardBody(response: HttpResponse): Promise<void> {
  // The connection breaking now is not worth a word: the answer is here already.
  await readBody(response, 64 * 1024).catch(() => undefined);
}
