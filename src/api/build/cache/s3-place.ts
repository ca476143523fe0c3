import type { CachePlace } from "../../../cache/index.ts";
import { openObjectStorage } from "../../object-storage.ts";
import type { Engine } from "../../engine.ts";
import { formatLocation } from "./cache-spec.ts";

/** Fields that no message and no record may have. */
const secret = ["access_key_id", "secret_access_key", "session_token"];

/**
 * A place in a bucket, by the fields that people write.
 * @throws OBJECT_STORAGE_SETTING_INVALID, OBJECT_STORAGE_CREDENTIALS_MISSING, OBJECT_STORAGE_CREDENTIALS_INVALID
 */
export async function openS3CachePlace(request: {
  readonly engine: Engine;
  readonly fields: ReadonlyMap<string, string>;
  readonly access: "pull" | "push";
}): Promise<CachePlace> {
  const { engine, fields } = request;
  const place = await openObjectStorage(engine, fields);
  const shown = [...fields].filter(([name]) => !secret.includes(name));
  return {
    label: place.label,
    name: place.name,
    isExact: place.isExact,
    keepsWhatIsListed: false,
    location: formatLocation({ type: "s3", ...Object.fromEntries(shown) }),
    has: (descriptor, signal) => place.has(descriptor, signal),
    fetch: (descriptor, signal) => place.fetch(descriptor, signal),
    fetchFrom: (descriptor, offset, signal) => place.fetchFrom(descriptor, offset, signal),
    resolve: (name, signal) => place.resolve(name, signal),
    push: (descriptor, content, signal) => place.push(descriptor, content, signal),
    tag: (name, descriptor, signal) => place.tag(name, descriptor, signal),
    tagInstead: (manifest, before, signal) => place.tagInstead(manifest, before, signal),
    close: () => place.close(),
  };
}
