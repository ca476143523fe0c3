import type { HttpClient, Reference } from "../core/index.ts";
import type { ContentSink, ContentSource } from "../image/index.ts";
import type { CredentialSource } from "./credentials.ts";
import type { RetryPolicy } from "./retry.ts";

export interface OpenRegistryOptions {
  /** Which repository; tag and digest do not matter. */
  readonly reference: Pick<Reference, "domain" | "path">;
  /** What is asked of the token server: reading, or reading and writing. */
  readonly access: "pull" | "push";
  /** `findStoredCredentials()` by default. */
  readonly credentials?: CredentialSource | undefined;
  /** Accepts any certificate, and plain http when there is no TLS. Credentials are then sent in the clear. */
  readonly insecure?: boolean | undefined;
  /** Repositories of the same registry that may have the layers already: they are linked instead of sent. */
  readonly mountFrom?: readonly string[] | undefined;
  /** Shared connections; a client of its own is opened, and closed by `close`, when absent. */
  readonly client?: HttpClient | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** Texts that the registry wants people to see, each once. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/**
 * One repository of a registry as a content place.
 *
 * Names (`resolve`, `tag`) are a tag, a digest, or a whole reference of this repository. As a source, interrupted
 * downloads go on where they broke off. As a sink, everything is idempotent; blobs that fail with
 * `details.isRetryable` can be pushed again with a fresh stream, which `copyGraph` does.
 *
 * @throws REGISTRY_UNREACHABLE, REGISTRY_UNAUTHORIZED, REGISTRY_DENIED, REGISTRY_NOT_FOUND, REGISTRY_LIMITED,
 * REGISTRY_FAILED, REGISTRY_ANSWER_INVALID, REGISTRY_TARGET_REFUSED, REGISTRY_CREDENTIALS_INVALID, CANCELED from
 * every method
 * @see OCI distribution spec
 */
export interface RegistryRepository extends ContentSource, ContentSink {
  readonly hasChildrenToo: true;
  /** All tags, in the registry's order. */
  listTags(signal?: AbortSignal): AsyncIterable<string>;
  close(): Promise<void>;
}
