import type { Digest } from "../core/index.ts";
import { openManifestLists, type GcRoot } from "../local/index.ts";
import { readContainers } from "../runtime/index.ts";
import { containersOf, type Engine } from "./engine.ts";

/** What has to stay beside what names lead to: what containers lie on, what manifest lists name, and what cache records promise. */
export async function* rootsOf(
  engine: Engine,
  {
    without,
  }: {
    /** Records that count as gone. */
    readonly without?: ReadonlySet<Digest>;
  } = {},
): AsyncGenerator<GcRoot> {
  yield* rootsBesideCache(engine);
  for await (const { key, record } of engine.cache.list()) {
    if (without?.has(key) === true) continue;
    if (record.chainId !== undefined) yield { type: "chain", chainId: record.chainId };
  }
}

/** The same as if there were no build cache. */
export async function* rootsBesideCache(engine: Engine): AsyncGenerator<GcRoot> {
  for (const container of await readContainers(containersOf(engine))) {
    yield { type: "image", id: container.imageId };
    if (container.chainId !== undefined) yield { type: "chain", chainId: container.chainId };
  }
  for (const { images } of await openManifestLists(engine.store).list()) {
    for (const { descriptor } of images) yield { type: "descriptor", descriptor };
  }
}
