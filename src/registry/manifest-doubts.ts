import { isTsbuildError, retold, type Digest, type TsbuildError } from "../core/index.ts";
import { parseManifestOrIndex, type Descriptor } from "../image/index.ts";

/** A manifest that a registry refused. */
interface RefusedManifest {
  /** Tag or digest. */
  readonly label: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/**
 * What to do when a registry has taken blobs and then says that it does not know them. Registries without locks read the
 * file that links a blob to a repository while another upload of the same blob rewrites it, and find it empty: a moment
 * later all is well. Others have really lost the blob, to their garbage collection for example.
 */
export class ManifestDoubts {
  readonly #seen = new Set<string>();

  /**
   * Looks for all that a refused manifest names, and sends the manifest once more when it is there; for each label once.
   * @throws the registry's `error`: unchanged when it is about something else, otherwise with a hint, and with the digests
   * in `details.lost` that have to be sent again before
   */
  async resolve<T>(
    error: unknown,
    what: {
      readonly manifest: RefusedManifest;
      readonly has: (part: Descriptor) => Promise<boolean>;
      readonly send: () => Promise<T>;
    },
  ): Promise<T> {
    if (!isPartUnknown(error)) throw error;
    const { label, mediaType, bytes } = what.manifest;
    if (this.#seen.has(label)) throw explain(error);
    this.#seen.add(label);
    const lost: Digest[] = [];
    for (const part of partsOf(bytes, mediaType)) {
      if (!(await what.has(part))) lost.push(part.digest);
    }
    if (lost.length > 0) throw explain(error, lost);
    return what.send().catch((again: unknown) => {
      throw isPartUnknown(again) ? explain(again) : again;
    });
  }
}

/** Whether a registry refused a manifest because it does not know a part that the manifest names. */
function isPartUnknown(error: unknown): error is TsbuildError {
  if (!isTsbuildError(error)) return false;
  const told = error.details["errors"];
  const codes = Array.isArray(told) ? (told as readonly { readonly code?: unknown }[]) : [];
  return codes.some(({ code }) => code === "MANIFEST_BLOB_UNKNOWN" || code === "BLOB_UNKNOWN");
}

function partsOf(bytes: Buffer, mediaType: string): readonly Descriptor[] {
  const document = parseManifestOrIndex(bytes, mediaType);
  if (document.type === "index") return document.index.manifests;
  const { config, layers } = document.manifest;
  // Layers that stay with their owner have other addresses; no registry is asked to have them.
  return [config, ...layers.filter(({ urls = [] }) => urls.length === 0)];
}

function explain(error: TsbuildError, lost: readonly Digest[] = []): TsbuildError {
  return retold(error, {
    hint: "the registry took what the image consists of, and then did not know it; push again, and look at the registry's storage if it stays so",
    ...(lost.length === 0 ? {} : { details: { lost } }),
  });
}
