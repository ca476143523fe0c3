import type { Readable } from "node:stream";
import { discardBody, readBody } from "../core/index.ts";
import { failureError, parseFailure, xmlText } from "./answer.ts";
import type { Bucket } from "./bucket.ts";
import { objectStorageError } from "./errors.ts";

/** Bytes of a part; S3 wants five million at least, and takes ten thousand parts. What is smaller goes in one piece. */
export const usualPartSize = 8 * 1024 * 1024;
const mostParts = 10_000;
const largestAnswer = 1024 * 1024;

export interface Upload {
  readonly bucket: Bucket;
  readonly key: string;
  /** Bytes of `content`. */
  readonly size: number;
  readonly content: Readable;
  /** Lets so many parts of all uploads move at a time. */
  readonly limit: <T>(work: () => Promise<T>) => Promise<T>;
  readonly attempt: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Writes an object, in parts where it is large. Each piece is in memory while it moves, so that it can be sent again, and
 * signed, so that the server takes nothing else. The object is there as a whole or not at all.
 */
export async function uploadObject(upload: Upload): Promise<void> {
  const { size } = upload;
  const partSize = Math.max(usualPartSize, Math.ceil(size / mostParts));
  if (size > partSize) return uploadParts(upload, partSize);
  const parts: Buffer[] = [];
  for await (const part of partsOf(upload.content, partSize)) parts.push(part);
  await upload.limit(() => putObject(upload, Buffer.concat(parts)));
}

async function putObject({ bucket, key, attempt, signal }: Upload, body: Buffer): Promise<void> {
  const response = await bucket.send({ method: "PUT", key, body, accept: [200], attempt, signal });
  await discardBody(response);
}

async function uploadParts(upload: Upload, partSize: number): Promise<void> {
  const { bucket, key, attempt, signal, limit } = upload;
  const id = await begin(upload);
  const failure = new AbortController();
  const stop = AbortSignal.any([failure.signal, ...(signal === undefined ? [] : [signal])]);
  const sending: Promise<string>[] = [];
  try {
    for await (const body of partsOf(upload.content, partSize)) {
      const number = sending.length + 1;
      let tellBegun = (): void => undefined;
      const begun = new Promise<void>((done) => (tellBegun = done));
      const sent = limit(async () => {
        tellBegun();
        stop.throwIfAborted();
        const query = { partNumber: String(number), uploadId: id };
        const request = { method: "PUT", key, query, body, accept: [200], attempt } as const;
        const response = await bucket.send({ ...request, signal: stop });
        await discardBody(response);
        return etagOf(response.header("etag"), attempt);
      });
      sent.catch((error: unknown) => failure.abort(error));
      sending.push(sent);
      // The next part is read while this one moves, and no sooner: what waits is in memory.
      await Promise.race([begun, sent]);
    }
    await complete(upload, { id, etags: await Promise.all(sending) });
  } catch (error) {
    failure.abort(error);
    await Promise.allSettled(sending);
    await abandon(upload, id);
    throw error;
  }
}

async function* partsOf(content: Readable, partSize: number): AsyncGenerator<Buffer> {
  let part = Buffer.allocUnsafeSlow(partSize);
  let length = 0;
  for await (const chunk of content) {
    const bytes = chunk as Buffer;
    for (let taken = 0; taken < bytes.length;) {
      const added = bytes.copy(part, length, taken);
      taken += added;
      length += added;
      if (length < partSize) continue;
      yield part;
      part = Buffer.allocUnsafeSlow(partSize);
      length = 0;
    }
  }
  if (length > 0) yield part.subarray(0, length);
}

async function begin({ bucket, key, attempt, signal }: Upload): Promise<string> {
  const query = { uploads: "" };
  const accept = [200];
  const response = await bucket.send({
    ...{ method: "POST", key, query, accept, attempt, signal },
    bodyLimit: largestAnswer,
  });
  const id = xmlText((await readBody(response, largestAnswer)).toString("utf8"), "UploadId");
  if (id !== undefined && id !== "") return id;
  throw objectStorageError("OBJECT_STORAGE_FAILED", `${attempt}: the server begins no upload`, {
    details: { host: bucket.host, status: response.status },
  });
}

/** S3 may answer 200 first and tell a failure in the body, as it takes a while. */
async function complete(
  { bucket, key, attempt, signal }: Upload,
  { id, etags }: { readonly id: string; readonly etags: readonly string[] },
): Promise<void> {
  const parts = etags.map(
    (etag, index) =>
      `<Part><PartNumber>${String(index + 1)}</PartNumber><ETag>${etag}</ETag></Part>`,
  );
  const body = Buffer.from(`<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`);
  const response = await bucket.send({
    ...{ method: "POST", key, query: { uploadId: id }, body, accept: [200], attempt, signal },
    headers: { "content-type": "application/xml" },
    bodyLimit: largestAnswer,
  });
  const told = parseFailure((await readBody(response, largestAnswer)).toString("utf8"));
  if (told === undefined) return;
  throw failureError({ response, told }, { attempt, credentials: bucket.credentials });
}

/** Parts that nobody puts together cost their owner money. */
async function abandon({ bucket, key, attempt }: Upload, id: string): Promise<void> {
  const query = { uploadId: id };
  const request = { method: "DELETE", key, query, accept: [200, 204, 404], attempt } as const;
  // The upload failed anyway, and that is what is told.
  await bucket.send(request).then(discardBody, () => undefined);
}

function etagOf(etag: string | undefined, attempt: string): string {
  if (etag !== undefined && /^"?[\w-]+"?$/.test(etag)) return etag;
  throw objectStorageError(
    "OBJECT_STORAGE_FAILED",
    `${attempt}: a part was answered without a tag`,
  );
}
