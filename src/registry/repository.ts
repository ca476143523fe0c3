import { Readable } from "node:stream";
import {
  defaultRetryPolicy,
  digestOf,
  discardBody,
  formatRepository,
  isDigest,
  isIndexType,
  isManifestType,
  isTsbuildError,
  mediaTypes,
  openHttpClient,
  parseDigest,
  parseReference,
  readBody,
  retold,
  verifyBytes,
  withDefaultTag,
  type Digest,
  type HttpClient,
  type HttpResponse,
  type RetryPolicy,
} from "../core/index.ts";
import {
  maxManifestSize,
  parseManifestOrIndex,
  plainDescriptor,
  readContent,
  readNamed,
  referrerOf,
  type Descriptor,
} from "../image/index.ts";
import { findStoredCredentials } from "./credentials.ts";
import { downloadBlob } from "./download.ts";
import { EarlyUpload, noEarlyUpload } from "./early-upload.ts";
import { registryError } from "./errors.ts";
import { readLinkedContent } from "./linked-content.ts";
import { readTags, type ListOptions } from "./listings.ts";
import { ManifestDoubts } from "./manifest-doubts.ts";
import { addToStandIn, keepsReferrers, listReferrers } from "./referrers.ts";
import { removeLabel, removeManifest } from "./removal.ts";
import { Route } from "./route.ts";
import type { Transport } from "./transport.ts";
import type {
  BeginBlobOptions,
  BlobInTheMaking,
  OpenRegistryOptions,
  RegistryRepository,
} from "./types.ts";
import { Uploads } from "./uploads.ts";

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
  readonly #policy: RetryPolicy;
  readonly #client: HttpClient;
  readonly #route: Route;
  readonly #uploads: Uploads;
  /** Something on the way swallows blobs that are sent while they are made. */
  #hasStalled = false;
  readonly #sent = new Map<Digest, Buffer>();
  readonly #doubts = new ManifestDoubts();

  constructor(options: OpenRegistryOptions) {
    this.#options = options;
    this.#name = formatRepository(options.reference);
    this.label = `registry ${this.#name}`;
    this.#policy = options.retry ?? defaultRetryPolicy;
    this.#client = options.client ?? openHttpClient();
    this.#route = new Route(options, {
      client: this.#client,
      source: options.credentials ?? findStoredCredentials(),
      policy: this.#policy,
    });
    this.#uploads = new Uploads(this.#route, this.#policy, options.mountFrom ?? []);
  }

  async resolve(name: string, signal?: AbortSignal): Promise<Descriptor | undefined> {
    const label = this.#labelOf(name);
    return this.#route.ask(isDigest(label) ? "digests" : "tags", async (transport) => {
      const request = { transport, method: "HEAD", label, accept: [200, 404, 405] } as const;
      const response = await this.#sendManifestRequest(request, signal);
      await discardBody(response);
      if (response.status === 404) return undefined;
      const told = response.status === 200 ? headDescriptor(response) : undefined;
      return told ?? this.#get(transport, label, signal);
    });
  }

  async fetch(descriptor: Descriptor, signal?: AbortSignal): Promise<Readable> {
    const manifest = isDocument(descriptor)
      ? await this.#fetchManifest(descriptor, signal)
      : undefined;
    if (manifest !== undefined) return manifest;
    // Some registries keep the manifests of an index among the blobs.
    try {
      return await this.#download({ descriptor, signal });
    } catch (error) {
      if (!isTsbuildError(error, "REGISTRY_NOT_FOUND")) throw error;
      const linked = await this.#fetchLinked(descriptor, signal);
      if (linked !== undefined) return linked;
      throw retold(error, {
        hint: "a manifest names it, and the registry does not have it: push again",
      });
    }
  }

  fetchFrom(descriptor: Descriptor, offset: number, signal?: AbortSignal): Promise<Readable> {
    return this.#download({ descriptor, offset, signal });
  }

  async has(descriptor: Descriptor, signal?: AbortSignal): Promise<boolean> {
    const { digest } = descriptor;
    if (isDocument(descriptor)) return this.#hasManifest(digest, signal);
    const transport = await this.#route.primary();
    const response = await transport.send({
      method: "HEAD",
      target: `/blobs/${digest}`,
      accept: [200, ...absentStatuses],
      attempt: `look for blob ${digest} in ${this.#name}`,
      signal,
    });
    await discardBody(response);
    if (response.status === 200) return true;
    return this.#options.access === "push" && this.#uploads.mount(descriptor, signal);
  }

  async push(descriptor: Descriptor, content: Readable, signal?: AbortSignal): Promise<void> {
    try {
      await (isDocument(descriptor)
        ? this.#pushManifest(descriptor, content, signal)
        : this.#uploads.push(descriptor, content, signal));
    } finally {
      content.destroy();
    }
  }

  beginBlob({ onSent, signal }: BeginBlobOptions = {}): BlobInTheMaking {
    if (this.#hasStalled) return noEarlyUpload;
    return new EarlyUpload({
      open: () => this.#uploads.open(),
      isThere: (descriptor) => this.has(descriptor, signal),
      onSent,
      onStalled: () => (this.#hasStalled = true),
      signal,
    });
  }

  async tag(name: string, descriptor: Descriptor, signal?: AbortSignal): Promise<void> {
    const label = this.#labelOf(name);
    if (label === descriptor.digest) return;
    const bytes =
      this.#sent.get(descriptor.digest) ??
      (await readContent({ source: this, descriptor, limit: maxManifestSize, signal }));
    await this.#putManifest({ label, descriptor, bytes, signal });
  }

  async standsFor(tag: string, signal?: AbortSignal): Promise<Digest | undefined> {
    const transport = await this.#route.primary();
    const accept = [200, ...absentStatuses, 405];
    const request = { transport, method: "HEAD", label: this.#labelOf(tag), accept } as const;
    const response = await this.#sendManifestRequest(request, signal);
    await discardBody(response);
    return response.status === 200 ? headDescriptor(response)?.digest : undefined;
  }

  async *listTags(options: ListOptions = {}): AsyncGenerator<string> {
    yield* readTags(await this.#route.primary(), this.#name, options);
  }

  async listReferrers(
    digest: Digest,
    options: { readonly artifactType?: string | undefined; readonly signal?: AbortSignal } = {},
  ): Promise<readonly Descriptor[]> {
    return listReferrers(await this.#place(), { digest, ...options });
  }

  async deleteTag(tag: string, signal?: AbortSignal): Promise<void> {
    await removeLabel(await this.#place(), this.#labelOf(tag), signal);
  }

  async deleteManifest(digest: Digest, signal?: AbortSignal): Promise<void> {
    const descriptor = await this.resolve(digest, signal);
    if (descriptor === undefined) {
      throw registryError("REGISTRY_NOT_FOUND", `remove ${this.#shown(digest)}: it is not there`, {
        details: { host: this.#options.reference.domain, digest },
      });
    }
    await removeManifest(await this.#place(), { descriptor, source: this }, signal);
  }

  async close(): Promise<void> {
    await this.#uploads.close();
    if (this.#options.client === undefined) await this.#client.close();
  }

  async #place() {
    return { transport: await this.#route.primary(), name: this.#name };
  }

  /** The tag or digest that a name means here. */
  #labelOf(name: string): string {
    if (isDigest(name)) return name;
    if (/^\w[\w.-]{0,127}$/.test(name)) return name;
    const reference = withDefaultTag(parseReference(name));
    if (formatRepository(reference) !== this.#name) {
      throw registryError("REGISTRY_FAILED", `use ${name} in ${this.#name}: another repository`, {
        details: {
          host: this.#options.reference.domain,
          expected: this.#name,
          found: formatRepository(reference),
        },
      });
    }
    return reference.digest ?? reference.tag ?? "latest";
  }

  #sendManifestRequest(
    request: {
      readonly transport: Transport;
      readonly method: "GET" | "HEAD";
      readonly label: string;
      readonly accept: readonly number[];
    },
    signal: AbortSignal | undefined,
  ): Promise<HttpResponse> {
    const { transport, method, label, accept } = request;
    return transport.send({
      method,
      target: `/manifests/${label}`,
      headers: { accept: acceptedManifests, "accept-encoding": "identity" },
      accept,
      attempt: `read manifest ${this.#shown(label)}`,
      bodyLimit: maxManifestSize + 1,
      signal,
    });
  }

  #shown(label: string): string {
    return `${this.#name}${isDigest(label) ? "@" : ":"}${label}`;
  }

  /** What a name stands for by the document itself, where HEAD does not tell. */
  async #get(
    transport: Transport,
    label: string,
    signal: AbortSignal | undefined,
  ): Promise<Descriptor | undefined> {
    const request = { transport, method: "GET", label, accept: [200, 404] } as const;
    const response = await this.#sendManifestRequest(request, signal);
    const bytes = await readBody(response, maxManifestSize + 1);
    if (response.status === 404) return undefined;
    const type = contentType(response);
    const isKnown = type !== undefined && acceptedManifests.split(", ").includes(type);
    const digest = digestOf(bytes);
    const about = { descriptor: { digest }, source: { label: `registry ${this.#shown(label)}` } };
    const document = readNamed(about, () =>
      parseManifestOrIndex(bytes, isKnown ? type : undefined),
    );
    const { mediaType } = document.type === "index" ? document.index : document.manifest;
    return { mediaType, digest, size: bytes.length };
  }

  async #download(wanted: {
    readonly descriptor: Descriptor;
    readonly offset?: number;
    readonly signal: AbortSignal | undefined;
  }): Promise<Readable> {
    return downloadBlob({
      ...wanted,
      transports: await this.#route.readers("digests"),
      policy: this.#policy,
      onLost: (mirror) => this.#route.leave(mirror),
    });
  }

  /** Verified here already: a mirror that has something else is passed over. */
  #fetchManifest(
    descriptor: Descriptor,
    signal: AbortSignal | undefined,
  ): Promise<Readable | undefined> {
    const { digest } = descriptor;
    return this.#route.ask("digests", async (transport) => {
      const request = { transport, method: "GET", label: digest, accept: [200, 404] } as const;
      const response = await this.#sendManifestRequest(request, signal);
      const bytes = await readBody(response, maxManifestSize + 1);
      if (response.status === 404) return undefined;
      verifyBytes(
        bytes,
        descriptor,
        `${digest} from registry ${transport.host.domain}/${transport.host.path}`,
      );
      return Readable.from([bytes], { objectMode: false });
    });
  }

  async #fetchLinked(
    descriptor: Descriptor,
    signal: AbortSignal | undefined,
  ): Promise<Readable | undefined> {
    const { host } = await this.#route.primary();
    const registry = new URL(host.endpoints[0]?.origin ?? `https://${host.domain}`);
    const [client, policy] = [this.#client, this.#policy];
    return readLinkedContent({ descriptor, client, registry, policy, signal });
  }

  async #hasManifest(digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
    const transport = await this.#route.primary();
    const accept = [200, ...absentStatuses, 405];
    const request = { transport, label: digest, accept };
    const response = await this.#sendManifestRequest({ ...request, method: "HEAD" }, signal);
    await discardBody(response);
    if (response.status !== 405) return response.status === 200;
    const again = await this.#sendManifestRequest({ ...request, method: "GET" }, signal);
    await discardBody(again);
    return again.status === 200;
  }

  async #pushManifest(
    descriptor: Descriptor,
    content: Readable,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    const response = await this.#putManifest({
      label: descriptor.digest,
      descriptor,
      bytes,
      signal,
    });
    const referrer = referrerOf(descriptor, bytes);
    if (referrer !== undefined && !keepsReferrers(response)) {
      await addToStandIn(await this.#place(), referrer, signal);
    }
    this.#sent.set(descriptor.digest, bytes);
    const oldest = this.#sent.keys().next().value;
    if (this.#sent.size > rememberedManifests && oldest !== undefined) this.#sent.delete(oldest);
  }

  async #putManifest(options: {
    readonly label: string;
    readonly descriptor: Descriptor;
    readonly bytes: Buffer;
    readonly signal: AbortSignal | undefined;
  }): Promise<HttpResponse> {
    const { label, descriptor, bytes, signal } = options;
    const transport = await this.#route.primary();
    const attempt = `write manifest ${this.#shown(label)} of ${String(bytes.length)} bytes`;
    const send = (): Promise<HttpResponse> =>
      transport.send({
        method: "PUT",
        target: `/manifests/${label}`,
        headers: { "content-type": descriptor.mediaType },
        body: bytes,
        accept: [200, 201, 202, 204],
        attempt,
        signal,
      });
    const response = await send().catch((error: unknown) => {
      const manifest = { label, mediaType: descriptor.mediaType, bytes };
      return this.#doubts.resolve(error, {
        ...{ manifest, send },
        has: (part) => this.has(part, signal),
      });
    });
    await discardBody(response);
    const told = response.header("docker-content-digest");
    if (told === undefined || told === descriptor.digest) return response;
    throw registryError(
      "REGISTRY_ANSWER_INVALID",
      `${attempt}: the registry stored something else`,
      {
        details: {
          host: transport.host.domain,
          expected: descriptor.digest,
          found: told.slice(0, 160),
        },
      },
    );
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
