import type { Readable } from "node:stream";
import {
  digestOf,
  discardBody,
  formatRepository,
  isDigest,
  isIndexType,
  isManifestType,
  mediaTypes,
  openHttpClient,
  parseDigest,
  parseReference,
  readBody,
  withDefaultTag,
  type Digest,
  type HttpClient,
  type HttpResponse,
} from "../core/index.ts";
import {
  maxManifestSize,
  parseManifestOrIndex,
  plainDescriptor,
  readContent,
  type Descriptor,
} from "../image/index.ts";
import { findStoredCredentials } from "./credentials.ts";
import { downloadBlob } from "./download.ts";
import { registryError } from "./errors.ts";
import { defaultRetryPolicy, type RetryPolicy } from "./retry.ts";
import { Transport } from "./transport.ts";
import type { OpenRegistryOptions, RegistryRepository } from "./types.ts";
import { cancelUpload, openUpload, sendBlob, type UploadSession } from "./upload.ts";

/** Schema 1 is listed so that it is sent, and can be refused by its name. */
const acceptedManifests = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerIndex,
  mediaTypes.dockerManifest,
  mediaTypes.dockerSchema1Signed,
  mediaTypes.dockerSchema1,
].join(", ");

/** Manifests that were just sent and may be tagged next; images with more platforms are read back. */
const rememberedManifests = 16;

/** Opens a repository of a registry. Nothing is sent before the first call. Whoever opens it closes it. */
export function openRegistry(options: OpenRegistryOptions): RegistryRepository {
  return new Repository(options);
}

class Repository implements RegistryRepository {
  readonly label: string;
  readonly hasChildrenToo = true;
  readonly #options: OpenRegistryOptions;
  readonly #name: string;
  readonly #host: string;
  readonly #path: string;
  readonly #policy: RetryPolicy;
  readonly #client: HttpClient;
  readonly #transport: Transport;
  readonly #sent = new Map<Digest, Buffer>();
  /** Uploads that were opened by asking for a mount in vain. */
  readonly #sessions = new Map<Digest, UploadSession>();

  constructor(options: OpenRegistryOptions) {
    const { domain, path } = options.reference;
    this.#options = options;
    this.#host = domain;
    this.#path = path;
    this.#name = formatRepository(options.reference);
    this.label = `registry ${this.#name}`;
    this.#policy = options.retry ?? defaultRetryPolicy;
    this.#client = options.client ?? openHttpClient();
    this.#transport = new Transport({
      client: this.#client,
      domain,
      path,
      scopes: [`repository:${path}:${options.access === "push" ? "pull,push" : "pull"}`],
      source: options.credentials ?? findStoredCredentials(),
      insecure: options.insecure ?? false,
      policy: this.#policy,
      onWarning: options.onWarning,
    });
  }

  async resolve(name: string, signal?: AbortSignal): Promise<Descriptor | undefined> {
    const label = this.#labelOf(name);
    const response = await this.#sendManifestRequest("HEAD", label, [200, 404, 405], signal);
    await discardBody(response);
    if (response.status === 404) return undefined;
    return (
      (response.status === 200 ? headDescriptor(response) : undefined) ?? this.#get(label, signal)
    );
  }

  async fetch(descriptor: Descriptor, signal?: AbortSignal): Promise<Readable> {
    const transport = this.#transport;
    const common = { transport, descriptor, host: this.#host, policy: this.#policy, signal };
    if (!isDocument(descriptor)) return downloadBlob(common);
    const response = await this.#sendManifestRequest("GET", descriptor.digest, [200, 404], signal);
    if (response.status === 200) return response.body;
    await discardBody(response);
    // Some registries keep the manifests of an index among the blobs.
    return downloadBlob(common);
  }

  async has(descriptor: Descriptor, signal?: AbortSignal): Promise<boolean> {
    const { digest } = descriptor;
    if (isDocument(descriptor)) return this.#hasManifest(digest, signal);
    const response = await this.#transport.send({
      method: "HEAD",
      target: `/blobs/${digest}`,
      accept: [200, ...absentStatuses],
      attempt: `look for blob ${digest} in ${this.#name}`,
      signal,
    });
    await discardBody(response);
    return response.status === 200 || this.#mount(descriptor, signal);
  }

  async push(descriptor: Descriptor, content: Readable, signal?: AbortSignal): Promise<void> {
    try {
      await (isDocument(descriptor)
        ? this.#pushManifest(descriptor, content, signal)
        : this.#pushBlob(descriptor, content, signal));
    } finally {
      content.destroy();
    }
  }

  async tag(name: string, descriptor: Descriptor, signal?: AbortSignal): Promise<void> {
    const label = this.#labelOf(name);
    if (label === descriptor.digest) return;
    const bytes =
      this.#sent.get(descriptor.digest) ??
      (await readContent({ source: this, descriptor, limit: maxManifestSize, signal }));
    await this.#putManifest({ label, descriptor, bytes, signal });
  }

  async *listTags(signal?: AbortSignal): AsyncGenerator<string> {
    let target: string | URL = "/tags/list?n=1000";
    const seen = new Set<string>();
    for (;;) {
      const response: HttpResponse = await this.#transport.send({
        method: "GET",
        target,
        accept: [200],
        attempt: `list the tags of ${this.#name}`,
        signal,
      });
      yield* parseTags(await readBody(response, maxManifestSize), this.#name);
      const next = nextPage(response);
      // A link to a page that was read already would never end.
      if (next === undefined || seen.has(next.href)) return;
      seen.add(next.href);
      target = next;
    }
  }

  async close(): Promise<void> {
    const place = this.#uploadPlace();
    for (const session of this.#sessions.values()) await cancelUpload(place, session);
    this.#sessions.clear();
    if (this.#options.client === undefined) await this.#client.close();
  }

  /** The tag or digest that a name means here. */
  #labelOf(name: string): string {
    if (isDigest(name)) return name;
    if (/^\w[\w.-]{0,127}$/.test(name)) return name;
    const reference = withDefaultTag(parseReference(name));
    if (formatRepository(reference) !== this.#name) {
      throw registryError("REGISTRY_FAILED", `use ${name} in ${this.#name}: another repository`, {
        details: { host: this.#host, expected: this.#name, found: formatRepository(reference) },
      });
    }
    return reference.digest ?? reference.tag ?? "latest";
  }

  #sendManifestRequest(
    method: "GET" | "HEAD",
    label: string,
    accept: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<HttpResponse> {
    return this.#transport.send({
      method,
      target: `/manifests/${label}`,
      headers: { accept: acceptedManifests, "accept-encoding": "identity" },
      accept,
      attempt: `read manifest ${this.#shown(label)}`,
      signal,
    });
  }

  #shown(label: string): string {
    return `${this.#name}${isDigest(label) ? "@" : ":"}${label}`;
  }

  /** What a name stands for by the document itself, where HEAD does not tell. */
  async #get(label: string, signal: AbortSignal | undefined): Promise<Descriptor | undefined> {
    const response = await this.#sendManifestRequest("GET", label, [200, 404], signal);
    const bytes = await readBody(response, maxManifestSize + 1);
    if (response.status === 404) return undefined;
    const type = contentType(response);
    const isKnown = type !== undefined && acceptedManifests.split(", ").includes(type);
    const document = parseManifestOrIndex(bytes, isKnown ? type : undefined);
    const { mediaType } = document.type === "index" ? document.index : document.manifest;
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  }

  async #hasManifest(digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
    const accept = [200, ...absentStatuses, 405];
    const response = await this.#sendManifestRequest("HEAD", digest, accept, signal);
    await discardBody(response);
    if (response.status !== 405) return response.status === 200;
    const again = await this.#sendManifestRequest("GET", digest, [200, ...absentStatuses], signal);
    await discardBody(again);
    return again.status === 200;
  }

  async #mount(descriptor: Descriptor, signal: AbortSignal | undefined): Promise<boolean> {
    const candidates = this.#options.access === "push" ? (this.#options.mountFrom ?? []) : [];
    const mountFrom = candidates.find((path) => path !== this.#path);
    if (mountFrom === undefined || this.#sessions.has(descriptor.digest)) return false;
    let session: UploadSession | undefined;
    try {
      session = await openUpload(this.#uploadPlace(), { descriptor, mountFrom, signal });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      // The other repository may be closed to us, and some registries know no mounts: then the blob is sent.
      return false;
    }
    if (session === undefined) return true;
    this.#sessions.set(descriptor.digest, session);
    return false;
  }

  async #pushBlob(
    descriptor: Descriptor,
    content: Readable,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const place = this.#uploadPlace();
    const opened = this.#sessions.get(descriptor.digest);
    this.#sessions.delete(descriptor.digest);
    const session = opened ?? (await openUpload(place, { descriptor, signal }));
    if (session === undefined) return;
    try {
      await sendBlob(place, { session, descriptor, content, signal });
    } catch (error) {
      await cancelUpload(place, session);
      throw error;
    }
  }

  async #pushManifest(
    descriptor: Descriptor,
    content: Readable,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    await this.#putManifest({ label: descriptor.digest, descriptor, bytes, signal });
    this.#sent.set(descriptor.digest, bytes);
    const oldest = this.#sent.keys().next().value;
    if (this.#sent.size > rememberedManifests && oldest !== undefined) this.#sent.delete(oldest);
  }

  async #putManifest(options: {
    readonly label: string;
    readonly descriptor: Descriptor;
    readonly bytes: Buffer;
    readonly signal: AbortSignal | undefined;
  }): Promise<void> {
    const { label, descriptor, bytes, signal } = options;
    const response = await this.#transport.send({
      method: "PUT",
      target: `/manifests/${label}`,
      headers: { "content-type": descriptor.mediaType },
      body: bytes,
      accept: [200, 201, 202, 204],
      attempt: `write manifest ${this.#shown(label)}`,
      signal,
    });
    await discardBody(response);
    const told = response.header("docker-content-digest");
    if (told === undefined || told === descriptor.digest) return;
    throw registryError(
      "REGISTRY_ANSWER_INVALID",
      `write manifest ${this.#shown(label)}: the registry stored something else`,
      { details: { host: this.#host, expected: descriptor.digest, found: told.slice(0, 160) } },
    );
  }

  #uploadPlace() {
    return { transport: this.#transport, host: this.#host, path: this.#path };
  }
}

/** 403 too: looking may be forbidden where writing is allowed. */
const absentStatuses = [403, 404];

function isDocument({ mediaType }: Descriptor): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType);
}

/** A descriptor from the headers of a HEAD; undefined when they do not say everything. */
function headDescriptor(response: HttpResponse): Descriptor | undefined {
  const digest = response.header("docker-content-digest");
  const size = response.header("content-length");
  const mediaType = contentType(response);
  if (digest === undefined || !isDigest(digest) || mediaType === undefined) return undefined;
  if (size === undefined || !/^[1-9]\d*$/.test(size)) return undefined;
  const descriptor = { mediaType, digest: parseDigest(digest), size: Number(size) };
  return isDocument(descriptor) ? plainDescriptor(descriptor) : undefined;
}

function contentType(response: HttpResponse): string | undefined {
  return response.header("content-type")?.split(";", 1)[0]?.trim();
}

function parseTags(body: Buffer, name: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw registryError("REGISTRY_ANSWER_INVALID", `list the tags of ${name}: it is not JSON`, {
      cause,
    });
  }
  const tags = typeof value === "object" && value !== null && "tags" in value ? value.tags : [];
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

/** The next page by `Link: <…>; rel="next"`, on the same registry only. */
function nextPage(response: HttpResponse): URL | undefined {
  const link = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(response.header("link") ?? "")?.[1];
  if (link === undefined || !URL.canParse(link, response.url.href)) return undefined;
  const next = new URL(link, response.url);
  return next.origin === response.url.origin ? next : undefined;
}
