import { formatReference, parseReference, withDefaultTag } from "../core/index.ts";
import type { ContentSink, ContentSource, Descriptor } from "../image/index.ts";
import type { Store } from "../store/index.ts";

/** The store's blobs and names as a place to copy from. */
export function storeSource(store: Store): ContentSource {
  return {
    label: `local store ${store.root}`,
    fetch: async ({ digest }) => store.blobs.open(digest),
    resolve: async (name) => (await store.names.get(normaliseName(name)))?.descriptor,
  };
}

/** The store as a place to copy to. `onTag` runs before a name is written. */
export function storeSink(
  store: Store,
  options: {
    /** The content comes from the registry that the name says: its digest is known there. */
    readonly fromRegistry: boolean;
    readonly onTag: (descriptor: Descriptor) => Promise<void>;
  },
): ContentSink {
  return {
    label: `local store ${store.root}`,
    isOwn: true,
    // The size as well: a file that somebody cut off is copied again.
    has: async ({ digest, size }) => (await store.blobs.size(digest)) === size,
    push: async ({ digest, size }, content, signal) => {
      await store.blobs.write(content, { digest, size }, signal);
    },
    takePartial: async ({ digest }) => store.blobs.takePartial(digest),
    tag: async (name, descriptor) => {
      await options.onTag(descriptor);
      await store.names.set({
        name: normaliseName(name),
        descriptor,
        ...(options.fromRegistry ? { repoDigest: descriptor.digest } : {}),
      });
    },
  };
}

/** The form under which names are stored. @throws REFERENCE_INVALID */
export function normaliseName(name: string): string {
  return formatReference(withDefaultTag(parseReference(name)));
}
