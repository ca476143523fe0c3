import { join } from "node:path";
import { copyCache } from "../../cache-mounts/index.ts";
import { openCacheMounts, type CacheMountStore, type Store } from "../../store/index.ts";

/**
 * Cache mounts that go with this process: each begins as a copy of the store's, which it never changes. Steps of the build share
 * them as they would share the store's.
 */
export function openPrivateCaches({ cacheMounts: shared, tmpDir }: Store): CacheMountStore {
  const own = openCacheMounts({ directory: join(tmpDir, "mounts-cache"), tmpDir });
  const discarded = new Set<string>();
  return {
    ...own,
    acquire: async (request) => {
      const { key, signal = new AbortController().signal } = request;
      const fill = async (to: string): Promise<void> => {
        const held = discarded.has(key) ? undefined : await shared.read(key, signal);
        if (held === undefined) return request.fill(to);
        try {
          await copyCache({ from: held.directory, to, signal });
        } finally {
          await held.release();
        }
      };
      return own.acquire({ ...request, fill });
    },
    discard: async (key) => {
      discarded.add(key);
      await own.discard(key);
    },
  };
}
