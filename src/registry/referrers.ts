import { mediaTypes, readBody, waitFor, type Digest, type HttpResponse } from "../core/index.ts";
import {
  maxManifestSize,
  parseIndex,
  referrersTag,
  serializeIndex,
  type Descriptor,
  type Index,
  type Referrer,
} from "../image/index.ts";
import { registryError } from "./errors.ts";
import { readPages } from "./paging.ts";
import type { Transport } from "./transport.ts";

/** A repository whose referrers are meant. */
export interface ReferrersPlace {
  readonly transport: Transport;
  /** For messages: `host/path`. */
  readonly name: string;
}

/**
 * What refers to some content: signatures, attestations and other artifacts that name it as their subject. By the
 * referrers API, else by the tag that stands in for it. Empty also when the content itself is unknown.
 * @throws REGISTRY_* codes
 * @see OCI distribution spec, "Listing Referrers"
 */
export async function listReferrers(
  place: ReferrersPlace,
  options: {
    readonly digest: Digest;
    /** Only artifacts of this type. */
    readonly artifactType?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<readonly Descriptor[]> {
  const { digest, artifactType } = options;
  const known = await askApi(place, options);
  const found = known ?? (await readStandIn(place, options)).index.manifests;
  const isWanted = (descriptor: Descriptor): boolean =>
    artifactType === undefined || descriptor.artifactType === artifactType;
  const wanted = new Map<Digest, Descriptor>();
  for (const descriptor of found) {
    if (isWanted(descriptor) && descriptor.digest !== digest) {
      wanted.set(descriptor.digest, descriptor);
    }
  }
  return [...wanted.values()];
}

/** Undefined when the registry does not know the API. */
async function askApi(
  { transport, name }: ReferrersPlace,
  options: Parameters<typeof listReferrers>[1],
): Promise<readonly Descriptor[] | undefined> {
  const { digest, artifactType, signal } = options;
  const filter =
    artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`;
  const found: Descriptor[] = [];
  const pages = readPages(transport, {
    target: `/referrers/${digest}${filter}`,
    headers: { accept: mediaTypes.ociIndex },
    // Registries of before answer as for any path that they do not know.
    accept: [200, 400, 404, 405],
    attempt: `list what refers to ${name}@${digest}`,
    signal,
  });
  for await (const { response, body } of pages) {
    if (response.status !== 200) return undefined;
    const index = readIndex(body, response);
    // Some answer every path with a page for people: that is no API, and nothing is known.
    if (index === undefined) return found.length === 0 ? undefined : found;
    found.push(...index.manifests);
  }
  return found;
}

function readIndex(body: Buffer, response: HttpResponse): Index | undefined {
  if (body.length > maxManifestSize) return undefined;
  try {
    const type = response.header("content-type")?.split(";", 1)[0]?.trim();
    return type === mediaTypes.ociIndex ? parseIndex(body) : undefined;
  } catch {
    return undefined;
  }
}

interface StandIn {
  readonly index: Index;
  readonly etag: string | undefined;
  readonly isThere: boolean;
}

const emptyIndex: Index = { mediaType: mediaTypes.ociIndex, manifests: [] };

async function readStandIn(
  { transport, name }: ReferrersPlace,
  { digest, signal }: { readonly digest: Digest; readonly signal?: AbortSignal | undefined },
): Promise<StandIn> {
  const tag = referrersTag(digest);
  const attempt = `read what refers to ${name}@${digest} at the tag ${tag}`;
  const response = await transport.send({
    method: "GET",
    target: `/manifests/${tag}`,
    headers: { accept: mediaTypes.ociIndex },
    accept: [200, 404],
    attempt,
    bodyLimit: maxManifestSize + 1,
    signal,
  });
  const body = await readBody(response, maxManifestSize + 1);
  if (response.status === 404) return { index: emptyIndex, etag: undefined, isThere: false };
  const index = readIndex(body, response);
  if (index !== undefined) return { index, etag: response.header("etag"), isThere: true };
  throw registryError("REGISTRY_ANSWER_INVALID", `${attempt}: it is no index`, {
    hint: "the tag is used for something else; remove it, or use another repository",
    details: { host: transport.host.domain, tag },
  });
}

/** Adds an entry to the tag that stands in for the referrers API, unless it is there. @throws REGISTRY_* codes */
export async function addToStandIn(
  place: ReferrersPlace,
  { subject, entry }: Referrer,
  signal: AbortSignal | undefined,
): Promise<void> {
  await changeStandIn(place, { digest: subject, signal }, (entries) =>
    entries.some(({ digest }) => digest === entry.digest) ? entries : [...entries, entry],
  );
}

/** Takes an entry out again. @throws REGISTRY_* codes */
export async function removeFromStandIn(
  place: ReferrersPlace,
  { subject, entry }: Referrer,
  signal: AbortSignal | undefined,
): Promise<void> {
  await changeStandIn(place, { digest: subject, signal }, (entries) =>
    entries.filter(({ digest }) => digest !== entry.digest),
  );
}

/** How often the index is written again because somebody else replaced it meanwhile. */
const maxRaces = 10;

/** Milliseconds after which what was written is looked at, at least; half as much again at most. */
const shortestSettling = 200;

async function changeStandIn(
  place: ReferrersPlace,
  about: { readonly digest: Digest; readonly signal: AbortSignal | undefined },
  change: (entries: readonly Descriptor[]) => readonly Descriptor[],
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { index, etag } = await readStandIn(place, about);
    const manifests = change(index.manifests);
    if (manifests.length === index.manifests.length) return;
    if (attempt > maxRaces) throw lostRaces(place, about.digest);
    const start = performance.now();
    await writeStandIn(place, about, { index: { ...index, manifests }, etag });
    await waitFor(settling(performance.now() - start), about.signal);
  }
}

/**
 * Most registries do not compare before they replace a tag: who read the index before us may write it after us. So what was
 * written is looked at when that one must be done: after several times as long as the writing took here.
 */
function settling(writing: number): number {
  return Math.max(shortestSettling, 5 * writing) * (1 + Math.random() / 2);
}

function lostRaces({ transport, name }: ReferrersPlace, digest: Digest): Error {
  const tag = referrersTag(digest);
  return registryError(
    "REGISTRY_FAILED",
    `write what refers to ${name}@${digest} to the tag ${tag}: others keep replacing it`,
    {
      hint: "try again when fewer write there at once; what is new is stored, and only missing in that list",
      details: { host: transport.host.domain, tag, isRetryable: true },
    },
  );
}

/** Somebody else may be faster: that shows when it is read again. */
async function writeStandIn(
  { transport, name }: ReferrersPlace,
  { digest, signal }: { readonly digest: Digest; readonly signal: AbortSignal | undefined },
  { index, etag }: { readonly index: Index; readonly etag: string | undefined },
): Promise<void> {
  const tag = referrersTag(digest);
  const bytes = serializeIndex(index);
  const response = await transport.send({
    method: "PUT",
    target: `/manifests/${tag}`,
    headers: {
      "content-type": index.mediaType,
      ...(etag === undefined ? {} : { "if-match": etag }),
    },
    body: bytes,
    accept: [200, 201, 202, 204, 412],
    attempt: `write what refers to ${name}@${digest} to the tag ${tag}`,
    signal,
  });
  await readBody(response, 1);
}

/** Whether the registry itself keeps the list of referrers: it says so when it takes one. */
export function keepsReferrers(response: HttpResponse): boolean {
  return response.header("oci-subject") !== undefined;
}
