import { createLimiter, type Digest } from "../core/index.ts";
import type { ContentSink, Descriptor } from "../image/index.ts";
import type { MountSet } from "./types.ts";
import { chunksOf } from "./worn-packs.ts";

/**
 * The part of a set whose packs a sink still has. Whoever cleans up there may know nothing of what packs are for; and a name
 * must never stand for less than it says.
 */
export async function onlyPresent(
  set: MountSet,
  { sink, signal }: { readonly sink: ContentSink; readonly signal: AbortSignal },
): Promise<MountSet> {
  const limit = createLimiter(4);
  const ask = async (descriptor: Descriptor): Promise<readonly Digest[]> =>
    (await sink.has(descriptor, signal)) ? [] : [descriptor.digest];
  const asked = [...set.packs.values()].map((pack) => limit(() => ask(pack)));
  const missing = new Set((await Promise.all(asked)).flat());
  if (missing.size === 0) return set;
  const chunks = new Map([...set.chunks].filter(([, { pack }]) => !missing.has(pack)));
  return {
    chunks,
    packs: new Map([...set.packs].filter(([digest]) => !missing.has(digest))),
    mounts: set.mounts.filter((mount) => chunksOf(mount).every((digest) => chunks.has(digest))),
  };
}
