import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { openStreamContext, openDirectoryContext } from "../../src/context/index.ts";
import { diffId, digestOf, type JobThread, mediaTypes } from "../../src/core/index.ts";
import {
  copyGraph,
  serializeImageConfig,
  serializeManifest,
  type Descriptor,
} from "../../src/image/index.ts";
import { openLayer } from "../../src/layer/index.ts";
import type { CopyHarness, Nodes } from "./copy-harness.ts";
import { nodesOf } from "./copy-harness.ts";
import { startTestThread } from "./file-thread.ts";
import { imageConfig, MadeContent } from "./image-maker.ts";

/** A stranger's archive and, where it needs one, the tar of the state that it meets. */
export interface StrangeTar {
  readonly tar: Buffer;
  readonly lower?: Buffer | undefined;
}

/** Ways into the builder for a tar: each gives the tree that came of it. */
export const doors = {
  layer: (harness: CopyHarness, tars: StrangeTar) => enterAsLayer(harness, tars),
  /** Whose files a second thread makes. */
  threaded: async (harness: CopyHarness, tars: StrangeTar) =>
    enterAsLayer(harness, { ...tars, thread: await sharedThread() }),
  add: enterByAdd,
  context: enterAsContext,
} as const;

let shared: Promise<JobThread> | undefined;

/** One for all attacks: it ends with the process. */
function sharedThread(): Promise<JobThread> {
  shared ??= startTestThread();
  return shared;
}

/** As a layer of an image that is pulled: verified, kept, unpacked. */
async function enterAsLayer(
  harness: CopyHarness,
  { tar, lower, thread }: StrangeTar & { readonly thread?: JobThread },
): Promise<Nodes> {
  const { images, snapshots } = harness.environment;
  const source = new MadeContent();
  const tars = lower === undefined ? [tar] : [lower, tar];
  const root = addImage(source, tars);
  await copyGraph({ source, sink: images.sink(), root });
  const chainId = await images.ensureUnpacked(await images.adopt(root), { thread });
  return nodesOf(await snapshots.tree(chainId));
}

/** An image of exactly these tars. */
export function addImage(source: MadeContent, tars: readonly Buffer[]): Descriptor {
  const layers = tars.map((bytes) => source.add(mediaTypes.ociLayerGzip, gzipSync(bytes)));
  const diffIds = tars.map((bytes) => diffId(digestOf(bytes)));
  const config = source.add(mediaTypes.ociConfig, serializeImageConfig(imageConfig(diffIds)));
  const mediaType = mediaTypes.ociManifest;
  return source.add(mediaType, serializeManifest({ mediaType, config, layers }));
}

/** As an archive that ADD unpacks into the root of an image. */
async function enterByAdd(harness: CopyHarness, { tar, lower }: StrangeTar): Promise<Nodes> {
  const directory = await freshFolder(harness);
  await writeFile(join(directory, "archive"), tar);
  const from = await openDirectoryContext({ directory });
  const base = lower === undefined ? {} : { base: await imageOf(harness, lower) };
  const made = await harness.copy({
    ...base,
    from,
    sources: ["archive"],
    destination: "/",
    unpack: true,
  });
  return harness.nodes(made);
}

/** As a build context that is copied whole. */
async function enterAsContext(harness: CopyHarness, { tar }: StrangeTar): Promise<Nodes> {
  const folder = join(await freshFolder(harness), "files");
  const input = Readable.from([tar]);
  const context = await openStreamContext(input, { folder, label: "the test" });
  if (context.type !== "tree") throw new Error("the archive was not taken for one");
  const made = await harness.copy({ from: context.tree, sources: ["."], destination: "/" });
  return harness.nodes(made);
}

async function imageOf(harness: CopyHarness, tar: Buffer) {
  const { snapshots } = harness.environment;
  const layer = await openLayer(Readable.from([tar]));
  const { chainId, diffId: id } = await snapshots.apply(undefined, layer);
  return { type: "layers", diffIds: [id], chainId, created: "" } as const;
}

async function freshFolder(harness: CopyHarness): Promise<string> {
  const { tmpDir } = harness.environment.store;
  const folder = join(tmpDir, `door-${randomBytes(6).toString("hex")}`);
  await mkdir(folder);
  return folder;
}
