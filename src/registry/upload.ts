import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { digestAlgorithm, discardBody, type HttpResponse } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { checkTarget } from "./endpoint.ts";
import { registryError } from "./errors.ts";
import type { Transport } from "./transport.ts";

export interface UploadPlace {
  readonly transport: Transport;
  /** For messages. */
  readonly host: string;
  readonly path: string;
}

/** An upload that the registry has opened; good for one blob. */
export interface UploadSession {
  readonly location: URL;
  /** Bytes that every chunk but the last one must have; 0 when the registry does not say. */
  readonly minChunk: number;
}

/** Blobs up to so many bytes are held in memory while they are sent, so that a request can be repeated. */
const heldInMemory = 256 * 1024;

/**
 * Opens an upload. With `mountFrom`, the registry is asked to link the blob from another of its repositories; then
 * undefined means that it did, and that there is nothing to send.
 * @throws REGISTRY_* codes
 */
export async function openUpload(
  place: UploadPlace,
  options: {
    /** Absent: nobody knows yet; it will have a sha256 digest. */
    readonly descriptor?: Descriptor | undefined;
    readonly mountFrom?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<UploadSession | undefined> {
  const { descriptor, mountFrom, signal } = options;
  const query = new URLSearchParams();
  if (descriptor !== undefined && mountFrom !== undefined) {
    query.set("mount", descriptor.digest);
    query.set("from", mountFrom);
  }
  const blob = descriptor === undefined ? "a new blob" : `blob ${descriptor.digest}`;
  const algorithm = descriptor === undefined ? "sha256" : digestAlgorithm(descriptor.digest);
  if (algorithm !== "sha256") query.set("digest-algorithm", algorithm);
  const search = query.size === 0 ? "" : `?${query.toString()}`;
  const response = await place.transport.send({
    method: "POST",
    target: `/blobs/uploads/${search}`,
    headers: { "content-length": "0" },
    ...(mountFrom === undefined ? {} : { scopes: [`repository:${mountFrom}:pull`] }),
    accept: mountFrom === undefined ? [202] : [201, 202],
    attempt: `open an upload of ${blob} to ${place.host}/${place.path}`,
    signal,
  });
  await discardBody(response);
  if (response.status === 201) return undefined;
  const minChunk = /^\d+$/.exec(response.header("oci-chunk-min-length") ?? "")?.[0] ?? "0";
  return { location: locationOf(response, place), minChunk: Number(minChunk) };
}

/**
 * Sends a whole blob into an open upload.
 * @throws REGISTRY_* codes; with details.isRetryable when a fresh upload of the same blob may succeed
 */
export async function sendBlob(
  place: UploadPlace,
  options: {
    readonly session: UploadSession;
    readonly descriptor: Descriptor;
    readonly content: Readable;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { session, descriptor, content, signal } = options;
  const isSmall = descriptor.size <= heldInMemory;
  await finishUpload(place, {
    location: session.location,
    descriptor,
    body: isSmall ? await buffer(content) : content,
    signal,
  });
}

/** Ends an upload with its last bytes, and compares what the registry says that it has now. */
export async function finishUpload(
  place: UploadPlace,
  options: {
    readonly location: URL;
    readonly descriptor: Descriptor;
    readonly body: Uint8Array | Readable;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { location, descriptor, body, signal } = options;
  const { digest, size } = descriptor;
  const attempt = uploadAttempt(place, descriptor);
  const length = body instanceof Uint8Array ? body.length : size;
  const response = await place.transport.send({
    method: "PUT",
    target: withDigest(location, descriptor),
    headers: { "content-type": "application/octet-stream", "content-length": String(length) },
    body,
    accept: [200, 201, 202, 204, 404],
    attempt,
    signal,
  });
  await discardBody(response);
  if (response.status === 404) throw lostUpload(place, attempt);
  const told = response.header("docker-content-digest");
  if (told === undefined || told === digest) return;
  throw registryError("REGISTRY_ANSWER_INVALID", `${attempt}: the registry stored something else`, {
    details: { host: place.host, expected: digest, found: told.slice(0, 160) },
  });
}

export function uploadAttempt({ host, path }: UploadPlace, { digest, size }: Descriptor): string {
  return `send blob ${digest} of ${String(size)} bytes to ${host}/${path}`;
}

/** A fresh upload may succeed. */
export function lostUpload(place: UploadPlace, attempt: string): Error {
  return registryError("REGISTRY_FAILED", `${attempt}: the registry has lost the upload`, {
    details: { host: place.host, status: 404, isRetryable: true },
  });
}

/** Tells the registry that an upload will not go on. Only a courtesy: it forgets such uploads by itself. */
export async function cancelUpload(
  place: UploadPlace,
  { location }: Pick<UploadSession, "location">,
): Promise<void> {
  await place.transport
    .send({
      method: "DELETE",
      target: location,
      accept: [200, 202, 204, 404],
      attempt: `cancel an upload to ${place.host}/${place.path}`,
      once: true,
      signal: AbortSignal.timeout(2000),
    })
    .then(discardBody, () => undefined);
}

/** Relative and absolute addresses are both legal; the query is the registry's own business. */
export function locationOf(response: HttpResponse, place: UploadPlace): URL {
  const text = response.header("location");
  if (text === undefined || !URL.canParse(text, response.url.href)) {
    throw registryError(
      "REGISTRY_ANSWER_INVALID",
      `open an upload to ${place.host}/${place.path}: no address is given`,
      { details: { host: place.host, status: response.status } },
    );
  }
  const location = new URL(text, response.url);
  // Registries behind a TLS proxy often think that they are spoken to in plain http.
  if (location.host === response.url.host) location.protocol = response.url.protocol;
  checkTarget(location, response.url, "upload address");
  return location;
}

/** Appends without rebuilding the query, which may be signed. */
function withDigest(location: URL, { digest }: Descriptor): URL {
  const bare = new URL(location);
  bare.hash = "";
  return new URL(
    `${bare.href}${bare.search === "" ? "?" : "&"}digest=${encodeURIComponent(digest)}`,
  );
}
