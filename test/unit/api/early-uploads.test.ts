import { expect, test } from "vitest";
import { EarlyUploads } from "../../../src/api/output/early-uploads.ts";
import { digestOf, mediaTypes, type DiffId } from "../../../src/core/index.ts";
import type { BeginBlobOptions } from "../../../src/registry/index.ts";
import { withStore } from "../../support/with-store.ts";

test("whoever waits for layers on their way is told how far they are", async () => {
  const { store } = await withStore();
  let arrive: () => void = () => undefined;
  const arrived = new Promise<void>((resolve) => (arrive = resolve));
  let told: BeginBlobOptions["onSent"];
  const repository = {
    beginBlob: ({ onSent }: BeginBlobOptions = {}) => {
      told = onSent;
      return { write: () => undefined, finish: () => arrived, cancel: () => arrived };
    },
  };
  const mounts = { isKnown: () => Promise.resolve(false) };
  const engine = { store, signal: new AbortController().signal };
  const early = new EarlyUploads(engine, mounts, { repository, domain: "127.0.0.1" });
  const layer = await early.listenTo(digestOf("layer") as string as DiffId);
  const seen: unknown[] = [];
  const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: digestOf("blob"), size: 9 };
  told?.(3);
  layer?.finish(descriptor);
  const settled = early.settle((...words) => seen.push(words));
  told?.(6);
  arrive();
  await settled;
  expect(seen).toEqual([[descriptor, 6]]);
});
