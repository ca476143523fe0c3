import type { Readable } from "node:stream";
import {
  createLimiter,
  digestOf,
  discardBody,
  isDigest,
  isIndexType,
  isManifestType,
  openHttpClient,
  readBody,
  type Digest,
  type HttpClient,
  type HttpResponse,
  type RetryPolicy,
} from "../core/index.ts";
import {
  maxManifestSize,
  readContent,
  type ContentSink,
  type ContentSource,
  type Descriptor,
} from "../image/index.ts";
import { failureError, parseFailure } from "./answer.ts";
import { Bucket, streamOf } from "./bucket.ts";
import { findAwsCredentials } from "./credentials.ts";
import { downloadObject } from "./download.ts";
import { readBucketSettings } from "./settings.ts";
import { uploadObject } from "./upload.ts";

/**
 * A place of content in a bucket, with names for manifests. Content lies under `PREFIXblobs/<digest>`, and what a name stands for,
 * the manifest itself, under `PREFIXmanifests/<name>`.
 */
export interface BucketPlace extends ContentSource, ContentSink {
  /** The first of the names that the settings give; `resolve` and `tag` take it, and then mean all of them. */
  readonly name: string;
  /** Whether `tagInstead` is sure to notice others. Amazon's own is; other servers may not look at conditions. */
  readonly isExact: boolean;
  fetchFrom(descriptor: Descriptor, offset: number, signal?: AbortSignal): Promise<Readable>;
  /**
   * Makes the name stand for `manifest`, which has been pushed. False when it stands for something else than `before` by
   * now. Servers that know no conditions replace what is there.
   */
  tagInstead(
    manifest: Descriptor,
    before: Descriptor | undefined,
    signal?: AbortSignal,
  ): Promise<boolean>;
  close(): Promise<void>;
}

export interface OpenBucketPlaceOptions {
  /** Settings by the names that BuildKit has for them: `bucket`, `region`, `endpoint_url`, … */
  readonly fields: ReadonlyMap<string, string>;
  /** Says what the fields do not; `process.env` by default. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  readonly policy?: RetryPolicy | undefined;
  /** Called with a sentence when people have to wait for longer than a moment. */
  readonly onWait?: ((text: string) => void) | undefined;
}

/**
 * Opens a place in a bucket. Nothing is sent before the first call. Whoever opens it closes it.
 * @throws OBJECT_STORAGE_SETTING_INVALID, OBJECT_STORAGE_CREDENTIALS_MISSING, OBJECT_STORAGE_CREDENTIALS_INVALID
 */
export function openBucketPlace(options: OpenBucketPlaceOptions): BucketPlace {
  const { fields, environment = process.env, policy, onWait } = options;
  const settings = readBucketSettings(fields, environment);
  const credentials = findAwsCredentials(fields, environment);
  const client = openHttpClient({ env: environment });
  return new Place(new Bucket({ settings, credentials, client, policy, onWait }), client);
}

/** What a name stood for when it was read last. */
interface Named {
  readonly key: string;
  readonly descriptor: Descriptor;
  readonly etag: string | undefined;
}

class Place implements BucketPlace {
  readonly label: string;
  readonly name: string;
  readonly isExact: boolean;
  readonly #bucket: Bucket;
  readonly #client: HttpClient;
  readonly #limit: <T>(work: () => Promise<T>) => Promise<T>;
  /** Manifests that were read or sent: they are named next. */
  readonly #documents = new Map<Digest, Buffer>();

  constructor(bucket: Bucket, client: HttpClient) {
    const { settings } = bucket;
    const [first = ""] = settings.names;
    this.label = `bucket ${settings.bucket}`;
    this.name = first;
    this.isExact = settings.endpoint === undefined;
    this.#bucket = bucket;
    this.#client = client;
    this.#limit = createLimiter(settings.parallelism);
  }

  async resolve(name: string, signal?: AbortSignal): Promise<Descriptor | undefined> {
    if (isDigest(name)) return undefined;
    return (await this.#read(name, signal))?.descriptor;
  }

  async fetch(descriptor: Descriptor, signal?: AbortSignal): Promise<Readable> {
    const known = this.#documents.get(descriptor.digest);
    return known === undefined ? this.fetchFrom(descriptor, 0, signal) : streamOf(known);
  }

  fetchFrom(descriptor: Descriptor, offset: number, signal?: AbortSignal): Promise<Readable> {
    const key = this.#blobKey(descriptor.digest);
    return downloadObject({ bucket: this.#bucket, key, descriptor, offset, signal });
  }

  async has({ digest, size }: Descriptor, signal?: AbortSignal): Promise<boolean> {
    const key = this.#blobKey(digest);
    const response = await this.#bucket.send({
      ...{ method: "HEAD", key, signal },
      accept: [200, 404],
      attempt: `look for blob ${digest} in ${this.label}`,
    });
    await discardBody(response);
    if (response.status !== 200) return false;
    const length = response.header("content-length");
    if (length !== undefined && Number(length) !== size) return false;
    await this.#touch(key, response, signal);
    return true;
  }

  async push(descriptor: Descriptor, content: Readable, signal?: AbortSignal): Promise<void> {
    const { digest, size } = descriptor;
    const upload = {
      ...{ bucket: this.#bucket, key: this.#blobKey(digest), limit: this.#limit, signal },
      attempt: `write blob ${digest} to ${this.label}`,
    };
    if (!isDocument(descriptor) || size > maxManifestSize) {
      return uploadObject({ ...upload, size, content });
    }
    const bytes = await collect(content);
    await uploadObject({ ...upload, size: bytes.length, content: streamOf(bytes) });
    this.#documents.set(digest, bytes);
  }

  async tag(name: string, descriptor: Descriptor, signal?: AbortSignal): Promise<void> {
    const bytes = await this.#documentOf(descriptor, signal);
    for (const key of this.#manifestKeys(name)) await this.#write({ key, bytes, signal });
  }

  async tagInstead(
    manifest: Descriptor,
    before: Descriptor | undefined,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const { name } = this;
    const now = await this.#read(name, signal);
    if (now?.descriptor.digest !== before?.digest) return false;
    const bytes = await this.#documentOf(manifest, signal);
    const [first = "", ...others] = this.#manifestKeys(name);
    // What was read under another name says nothing about the first one.
    const etag = now?.key === first ? now.etag : undefined;
    const isFree = now === undefined || now.key !== first;
    const condition = isFree ? { "if-none-match": "*" } : etag && { "if-match": etag };
    if (!(await this.#write({ key: first, bytes, condition, signal }))) return false;
    for (const key of others) await this.#write({ key, bytes, signal });
    return true;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #blobKey(digest: Digest): string {
    return this.#bucket.settings.blobsPrefix + digest;
  }

  #manifestKeys(name: string): readonly string[] {
    const { manifestsPrefix, names } = this.#bucket.settings;
    return (name === this.name ? names : [name]).map((each) => manifestsPrefix + each);
  }

  /** The first name that stands for something. */
  async #read(name: string, signal: AbortSignal | undefined): Promise<Named | undefined> {
    for (const key of this.#manifestKeys(name)) {
      const response = await this.#bucket.send({
        ...{ method: "GET", key, accept: [200, 404], bodyLimit: maxManifestSize + 1, signal },
        attempt: `read ${key} of ${this.label}`,
      });
      const bytes = await readBody(response, maxManifestSize + 1);
      if (response.status === 404) {
        expectAbsent(bytes, { response, bucket: this.#bucket });
        continue;
      }
      const digest = digestOf(bytes);
      this.#documents.set(digest, bytes);
      const descriptor = { mediaType: mediaTypeOf(bytes), digest, size: bytes.length };
      return { key, descriptor, etag: response.header("etag") };
    }
    return undefined;
  }

  /** False when the condition does not hold. */
  async #write(request: {
    readonly key: string;
    readonly bytes: Buffer;
    readonly condition?: Readonly<Record<string, string>> | "" | undefined;
    readonly signal: AbortSignal | undefined;
  }): Promise<boolean> {
    const { key, bytes: body, condition, signal } = request;
    const isBound = condition !== undefined && condition !== "";
    const response = await this.#bucket.send({
      ...{ method: "PUT", key, body, signal },
      headers: { "content-type": mediaTypeOf(body), ...(isBound ? condition : {}) },
      accept: isBound ? [200, 409, 412, 501] : [200],
      attempt: `write ${key} to ${this.label}`,
    });
    await discardBody(response);
    // A server that knows no conditions says so, and nothing is written.
    if (response.status === 501) return this.#write({ key, bytes: body, signal });
    return response.status === 200;
  }

  async #documentOf(descriptor: Descriptor, signal: AbortSignal | undefined): Promise<Buffer> {
    const known = this.#documents.get(descriptor.digest);
    if (known !== undefined) return known;
    return readContent({ source: this, descriptor, limit: maxManifestSize, signal });
  }

  /** Owners of buckets let objects end by their age: what is in use becomes young again. */
  async #touch(key: string, found: HttpResponse, signal: AbortSignal | undefined): Promise<void> {
    const written = Date.parse(found.header("last-modified") ?? "");
    if (!(Date.now() - written > this.#bucket.settings.touchAfter)) return;
    const request = {
      ...({ method: "PUT", key, signal, attempt: `renew ${key} in ${this.label}` } as const),
      headers: {
        "x-amz-copy-source": this.#bucket.copySource(key),
        "x-amz-metadata-directive": "REPLACE",
      },
      accept: [200],
    };
    // It is there, which is what was asked.
    await this.#bucket.send(request).then(discardBody, () => undefined);
  }
}

/** No such name is one thing; no such bucket, or nobody whom the server knows, another. @throws OBJECT_STORAGE_* */
function expectAbsent(
  body: Buffer,
  { response, bucket }: { readonly response: HttpResponse; readonly bucket: Bucket },
): void {
  const told = parseFailure(body.toString("utf8"));
  if (told === undefined || told.code === "NoSuchKey" || told.code === "") return;
  const attempt = `look into bucket ${bucket.settings.bucket}`;
  throw failureError({ response, told }, { attempt, credentials: bucket.credentials });
}

function isDocument({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}

async function collect(content: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** What a document calls itself. Those of other tools, which may have the name, need not say. */
function mediaTypeOf(bytes: Buffer): string {
  const other = "application/octet-stream";
  try {
    const document: unknown = JSON.parse(bytes.toString("utf8"));
    if (typeof document !== "object" || document === null || !("mediaType" in document))
      return other;
    const { mediaType } = document;
    return typeof mediaType === "string" && /^[\w.+/-]{1,200}$/.test(mediaType) ? mediaType : other;
  } catch {
    return other;
  }
}
