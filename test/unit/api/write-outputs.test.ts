import { expect, test } from "vitest";
import { writeOutputs } from "../../../src/api/output/write-outputs.ts";
import type { Engine } from "../../../src/api/engine.ts";
import { StepLog } from "../../../src/build/index.ts";
import { systemClock } from "../../../src/core/index.ts";
import { serializeImageConfig } from "../../../src/image/index.ts";
import { collect } from "../../support/collect.ts";
import { imageConfig } from "../../support/image-maker.ts";
import { withImages } from "../../support/with-images.ts";

test("no layer is rewritten of files that the disk has refused", async () => {
  const { store, snapshots, images } = await withImages();
  const { diffId } = await snapshots.commitFiles(undefined, { file: "content" });
  const image = await images.prepare(serializeImageConfig(imageConfig([diffId])));
  const cache = { lookup: async () => undefined, store: async () => undefined };
  const engine = { store, snapshots, images, cache, clock: systemClock } as unknown as Engine;
  const form = {
    ...{ forceCompression: false, dockerTypes: false },
    ...{ annotations: [], rewriteTimestamp: true },
  };
  const output = { type: "image", store: true, push: false, pushByDigest: false, form } as const;
  const write = writeOutputs([{ ...output, isInsecure: false }], {
    engine,
    steps: new StepLog({ listener: () => undefined, clock: systemClock }),
    group: { members: [{ image }] },
    names: ["docker.io/library/app:1"],
    epoch: 0n,
    baseLayers: () => 0,
    durable: Promise.reject(new Error("input/output error")),
  });
  await expect(write).rejects.toThrow("input/output error");
  expect(await collect(store.layerBlobs.list())).toEqual([]);
  expect(await collect(store.blobs.list())).toEqual([]);
});
