import { discardBody, isDigest, type Digest } from "../core/index.ts";
import {
  maxManifestSize,
  readContent,
  referrerOf,
  type ContentSource,
  type Descriptor,
} from "../image/index.ts";
import { registryError } from "./errors.ts";
import { removeFromStandIn, type ReferrersPlace } from "./referrers.ts";

/**
 * Removes a tag, or a manifest by its digest with all its tags.
 * @throws REGISTRY_NOT_FOUND; REGISTRY_UNSUPPORTED when the registry does not remove things; other REGISTRY_* codes
 * @see OCI distribution spec, "Deleting tags" and "Deleting manifests"
 */
export async function removeLabel(
  { transport, name }: ReferrersPlace,
  label: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const shown = `${name}${isDigest(label) ? "@" : ":"}${label}`;
  const attempt = `remove ${shown}`;
  const response = await transport.send({
    method: "DELETE",
    target: `/manifests/${label}`,
    scopes: [`repository:${transport.host.path}:delete`],
    accept: [200, 202, 204, 400, 405, 501],
    attempt,
    signal,
  });
  await discardBody(response);
  if (response.status < 300) return;
  const what = isDigest(label) ? "manifests" : "single tags";
  throw registryError("REGISTRY_UNSUPPORTED", `${attempt}: the registry does not remove ${what}`, {
    hint: isDigest(label)
      ? "ask whoever runs it whether removing can be turned on"
      : "remove the image by its digest, which takes all its tags with it",
    details: { host: transport.host.domain, status: response.status },
  });
}

/**
 * Removes a manifest, and where the registry has no referrers API, what it left in the list that stands in for it.
 * @throws as `removeLabel`
 */
export async function removeManifest(
  place: ReferrersPlace,
  manifest: { readonly descriptor: Descriptor; readonly source: ContentSource },
  signal: AbortSignal | undefined,
): Promise<void> {
  const { descriptor, source } = manifest;
  const bytes = await readContent({ source, descriptor, limit: maxManifestSize, signal });
  const referrer = referrerOf(descriptor, bytes);
  await removeLabel(place, descriptor.digest, signal);
  if (referrer === undefined || (await hasReferrersApi(place, referrer.subject, signal))) return;
  await removeFromStandIn(place, referrer, signal);
}

async function hasReferrersApi(
  { transport, name }: ReferrersPlace,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const response = await transport.send({
    method: "GET",
    target: `/referrers/${digest}`,
    accept: [200, 400, 404, 405],
    attempt: `list what refers to ${name}@${digest}`,
    signal,
  });
  await discardBody(response);
  return response.status === 200;
}
