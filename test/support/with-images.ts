import { openLocalImages, type LocalImages } from "../../src/local/index.ts";
import type { Store } from "../../src/store/index.ts";
import { MadeContent } from "./image-maker.ts";
import { MemorySnapshotter } from "./memory-snapshotter.ts";
import { withStore } from "./with-store.ts";

/** Local images over a fresh store and snapshots in memory, and a place to get foreign images from. */
export async function withImages(options: { readonly root?: string } = {}): Promise<{
  readonly root: string;
  readonly store: Store;
  readonly snapshots: MemorySnapshotter;
  readonly images: LocalImages;
  readonly registry: MadeContent;
}> {
  const { root, store } = await withStore(options);
  const snapshots = new MemorySnapshotter();
  const images = openLocalImages({ store, snapshots });
  return { root, store, snapshots, images, registry: new MadeContent() };
}
