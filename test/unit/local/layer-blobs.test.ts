import { Readable } from "node:stream";
import { expect, test } from "vitest";
import {
  asRetryable,
  chainIdOf,
  diffId,
  digestMismatch,
  digestOf,
  mediaTypes,
} from "../../../src/core/index.ts";
import { ensureLayerBlob } from "../../../src/local/layer-blobs.ts";
import { SingleFlight } from "../../../src/local/single-flight.ts";
import { withStore } from "../../support/with-store.ts";

test("a layer of which one host gave wrong bytes is fetched again, from the next [R2.16]", async () => {
  const { store } = await withStore();
  const bytes = Buffer.from("a layer");
  const id = diffId(digestOf(bytes));
  const published = { mediaType: mediaTypes.ociLayer, digest: digestOf(bytes), size: bytes.length };
  const chainId = chainIdOf([id]) ?? expect.fail("one layer is a chain");
  const layer = { diffId: id, parent: undefined, chainId, published };
  async function* lying(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(Buffer.from("x"));
    throw asRetryable(digestMismatch(published.digest, digestOf("x"), "a mirror"));
  }
  const answers = [lying(), [bytes]];
  const fetchLayer = (): Promise<Readable> =>
    Promise.resolve(Readable.from(answers.shift() ?? [], { objectMode: false }));
  const place = { store, flights: new SingleFlight() };
  await ensureLayerBlob(place, layer, { fetchLayer });
  expect(await store.blobs.read(published.digest)).toEqual(bytes);
  expect(answers).toEqual([]);
});
