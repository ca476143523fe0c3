import type { ContentSink, ContentSource, Descriptor } from "../../image/index.ts";
import type { BeginBlobOptions, BlobInTheMaking } from "../../registry/index.ts";

/**
 * Somewhere a cache can be kept for other machines: a place of content with one name in it, which stands for the manifest
 * of the cache. `resolve` and `tag` take `name`.
 *
 * ```ts
 * const before = await place.resolve(place.name, signal);
 * await copyGraph({ source, sink: place, root: manifest, signal });
 * const isMine = await place.tagInstead(manifest, before, signal);
 * ```
 */
export interface CachePlace extends ContentSource, ContentSink {
  /** What the cache is called here. */
  readonly name: string;
  /** As `--cache-from` names this place, absolute and without secrets: later processes open it again by that. */
  readonly location: string;
  /** Whether the comparison of `tagInstead` is sure: nobody can come between it and the change. */
  readonly isExact: boolean;
  /**
   * Whether whatever a manifest lists is there as long as the manifest is, as registries see to. Elsewhere people clean up,
   * or let objects end by their age, and each blob is asked for.
   */
  readonly keepsWhatIsListed: boolean;
  /**
   * Makes the name stand for `manifest`, whose graph has been pushed. False when the place knows that by now the name
   * stands for something else than `before`; places that cannot compare replace what is there.
   */
  tagInstead(
    manifest: Descriptor,
    before: Descriptor | undefined,
    signal?: AbortSignal,
  ): Promise<boolean>;
  /** Where blobs can be sent while they are being made. */
  beginBlob?(options?: BeginBlobOptions): BlobInTheMaking;
  close(): Promise<void>;
}
