import { posix } from "node:path";
import type { ExecMount } from "../../plan/index.ts";
import { cacheMountKey, type HeldCacheMount } from "../../store/index.ts";
import type { LayersResult } from "../result.ts";
import { fillCache } from "./fill-cache.ts";
import { makeBeneath } from "./make-beneath.ts";
import type { MountPlace, OpenedMount } from "./step-mounts.ts";

type CacheMount = Extract<ExecMount, { type: "cache" }>;

/**
 * Takes the caches of a step, each once however many mounts show it, and always in the same order: two steps that lock
 * the same ones never wait for each other.
 * @throws BUILD_MOUNT_INVALID when the source of one leads out of it
 */
export async function* openCacheMounts(
  mounts: readonly ExecMount[],
  place: MountPlace,
): AsyncGenerator<OpenedMount, void, undefined> {
  const byKey = new Map<string, CacheMount[]>();
  for (const mount of mounts) {
    if (mount.type !== "cache") continue;
    const key = cacheKey(mount, place);
    byKey.set(key, [...(byKey.get(key) ?? []), mount]);
  }
  for (const [key, users] of [...byKey].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const held = await takeCache(key, users, place);
    yield { lock: held.lock, close: async () => held.release() };
    for (const user of users) yield { mount: await showCache(user, held) };
  }
}

async function takeCache(
  key: string,
  [first, ...others]: readonly CacheMount[],
  place: MountPlace,
): Promise<HeldCacheMount> {
  if (first === undefined) throw new Error("a cache without a mount");
  const { request } = place;
  const { store, signal } = request.environment;
  const caches = request.environment.cacheMounts ?? store.cacheMounts;
  await request.emptyOnce?.(key, async () => caches.discard(key));
  // Without mounts a cache is at one place at a time.
  const isAlone =
    first.sharing === "shared" && (await request.environment.sandbox()).kind === "chroot";
  const isLocked = isAlone || [first, ...others].some(({ sharing }) => sharing === "locked");
  return caches.acquire({
    key,
    sharing: isLocked ? "locked" : first.sharing,
    fill: async (directory) => fillCache(first, { ...place, directory }),
    signal,
  });
}

/** Caches differ by id, by what they began with, and by asked-for looks. */
function cacheKey(mount: CacheMount, { request }: MountPlace): string {
  const { id, input, mode, uid, gid } = mount;
  const from = input === undefined ? undefined : layersOf(input, request).chainId;
  const source = input === undefined ? undefined : mount.source;
  return cacheMountKey({ id, from, source, mode, uid, gid });
}

function layersOf(input: number, request: MountPlace["request"]): LayersResult {
  const result = request.others[input - 1];
  if (result?.type !== "layers") throw new Error(`input ${String(input)} of a RUN has no layers`);
  return result;
}

/** What a cache with a `from` holds begins at its source, so there is no path left to follow. */
async function showCache(
  mount: CacheMount,
  { directory: source, notes: movedBy }: HeldCacheMount,
): Promise<OpenedMount["mount"]> {
  const beneath = posix.relative("/", mount.source);
  const { target, readOnly } = mount;
  const shown = { type: "bind", source, target, readOnly, movedBy } as const;
  if (mount.input !== undefined || beneath === "") return shown;
  await makeBeneath(source, beneath);
  return { ...shown, beneath };
}
