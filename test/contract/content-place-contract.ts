import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { digestOf, isTsbuildError, mediaTypes } from "../../src/core/index.ts";
import {
  copyGraph,
  type ContentSink,
  type ContentSource,
  type Descriptor,
} from "../../src/image/index.ts";
import { MemoryPlace } from "../support/memory-place.ts";
import { makeRandomImage, makeRandomIndex, type RandomImage } from "../support/random-image.ts";

/** One empty place under test. Archives are finished between writing and reading. */
export interface ContentPlaceDriver {
  write(work: (sink: ContentSink) => Promise<void>): Promise<void>;
  read(work: (source: ContentSource) => Promise<void>): Promise<void>;
  /** A name that this place can give, by its tag. */
  nameOf(tag: string): string;
  /** Content that fails on its way spoils the whole place, which then says so. */
  readonly breaksOnFailure?: boolean;
}

/** What everything that holds images promises, be it a registry, an archive or the memory. */
export function describeContentPlace(label: string, open: () => Promise<ContentPlaceDriver>): void {
  describe(`content place: ${label}`, () => {
    test("what goes in comes out, byte for byte", async () => {
      for (const dockerTypes of [false, true]) {
        const place = await open();
        const image = await makeRandomImage({ dockerTypes, layers: 3, layerSize: 150_000 });
        await place.write((sink) => putIn(sink, image, place.nameOf("1.0")));
        await place.read((source) => expectThere(source, place.nameOf("1.0"), image));
      }
    });

    test("uncompressed layers stay as they are", async () => {
      const place = await open();
      const image = await makeRandomImage({ compression: "none" });
      await place.write((sink) => putIn(sink, image, place.nameOf("plain")));
      await place.read((source) => expectThere(source, place.nameOf("plain"), image));
    });

    test("an index keeps all its images", async () => {
      const place = await open();
      const index = await makeRandomIndex(["linux/amd64", "linux/arm64", "linux/arm/v7"]);
      await place.write((sink) => putIn(sink, index, place.nameOf("many")));
      await place.read((source) => expectThere(source, place.nameOf("many"), index));
    });

    test("several images live side by side, and share what they have in common", async () => {
      const place = await open();
      const first = await makeRandomImage({ seed: "same", layers: 1 });
      const second = await makeRandomImage({ seed: "same", layers: 2 });
      await place.write(async (sink) => {
        await putIn(sink, first, place.nameOf("a"));
        await putIn(sink, second, place.nameOf("b"));
        await sink.tag(place.nameOf("c"), second.root);
      });
      await place.read(async (source) => {
        await expectThere(source, place.nameOf("a"), first);
        await expectThere(source, place.nameOf("b"), second);
        await expectThere(source, place.nameOf("c"), second);
      });
    });

    test("a name can be given to another image", async () => {
      const place = await open();
      const old = await makeRandomImage({ seed: "old" });
      const young = await makeRandomImage({ seed: "young" });
      await place.write(async (sink) => {
        await putIn(sink, old, place.nameOf("latest"));
        await putIn(sink, young, place.nameOf("latest"));
      });
      await place.read((source) => expectThere(source, place.nameOf("latest"), young));
    });

    test("nothing is there before it is put there", async () => {
      const place = await open();
      const image = await makeRandomImage();
      await place.write(async (sink) => {
        const [layer = image.root] = image.manifest.layers;
        expect(await sink.has(layer)).toBe(false);
        expect(await sink.has(image.root)).toBe(false);
        await putIn(sink, image, place.nameOf("x"));
        expect(await sink.has(layer)).toBe(true);
        expect(await sink.has(image.root)).toBe(true);
      });
    });

    test("pushing again changes nothing", async () => {
      const place = await open();
      const image = await makeRandomImage();
      await place.write(async (sink) => {
        await putIn(sink, image, place.nameOf("x"));
        for (const descriptor of [image.manifest.config, ...image.manifest.layers, image.root]) {
          await sink.push(descriptor, streamOf(image, descriptor));
        }
      });
      await place.read((source) => expectThere(source, place.nameOf("x"), image));
    });

    test("content that fails on its way is not stored", async () => {
      const place = await open();
      const image = await makeRandomImage();
      const bytes = Buffer.alloc(200_000, "x");
      const descriptor: Descriptor = {
        mediaType: mediaTypes.ociLayer,
        digest: digestOf(bytes),
        size: bytes.length,
      };
      await place.write(async (sink) => {
        const pushed = sink.push(descriptor, breakingStream(bytes));
        await expect(pushed).rejects.toThrow();
        expect(await sink.has(descriptor)).toBe(false);
        const again = putIn(sink, image, place.nameOf("x"));
        if (place.breaksOnFailure === true) await expect(again).rejects.toThrow();
        else await again;
      });
      if (place.breaksOnFailure === true) return;
      await place.read((source) => expectThere(source, place.nameOf("x"), image));
    });

    test("an empty blob is a blob", async () => {
      const place = await open();
      const bytes = Buffer.alloc(0);
      const image = await makeRandomImage();
      const empty = { mediaType: "application/x-nothing", digest: digestOf(bytes), size: 0 };
      await place.write(async (sink) => {
        await sink.push(empty, Readable.from([], { objectMode: false }));
        await putIn(sink, image, place.nameOf("x"));
      });
      await place.read(async (source) => {
        expect(await readAll(source, empty)).toEqual(bytes);
      });
    });

    test("what is not there is told as not found", async () => {
      const place = await open();
      const image = await makeRandomImage();
      const other = await makeRandomImage({ seed: "other" });
      await place.write((sink) => putIn(sink, image, place.nameOf("x")));
      await place.read(async (source) => {
        expect(await source.resolve(place.nameOf("y"))).toBeUndefined();
        for (const missing of [other.root, other.manifest.config]) {
          const error: unknown = await readAll(source, missing).catch((reason: unknown) => reason);
          expect(isTsbuildError(error) && error.code).toMatch(/_NOT_FOUND$/);
        }
      });
    });

    test("a stream that nobody reads does no harm", async () => {
      const place = await open();
      const image = await makeRandomImage({ layerSize: 2_000_000, layers: 1 });
      const [layer = image.root] = image.manifest.layers;
      await place.write((sink) => putIn(sink, image, place.nameOf("x")));
      await place.read(async (source) => {
        for (let time = 0; time < 20; time += 1) (await source.fetch(layer)).destroy();
        await expectThere(source, place.nameOf("x"), image);
      });
    });
  });
}

async function putIn(sink: ContentSink, image: RandomImage, name: string): Promise<void> {
  const source = new MemoryPlace("test", image.blobs);
  const { root } = await copyGraph({ source, sink, root: image.root });
  await sink.tag(name, root);
}

async function expectThere(source: ContentSource, name: string, image: RandomImage): Promise<void> {
  const root = await source.resolve(name);
  expect(root).toMatchObject({
    digest: image.root.digest,
    mediaType: image.root.mediaType,
    size: image.root.size,
  });
  if (root === undefined) return;
  const sink = new MemoryPlace("test");
  await copyGraph({ source, sink, root });
  expect(sink.blobs.size).toBe(image.blobs.size);
  for (const [digest, bytes] of image.blobs) {
    expect(sink.blobs.get(digest)?.equals(bytes)).toBe(true);
  }
}

async function readAll(source: ContentSource, descriptor: Descriptor): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await source.fetch(descriptor)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function streamOf(image: RandomImage, descriptor: Descriptor): Readable {
  const bytes = image.blobs.get(descriptor.digest) ?? Buffer.alloc(0);
  return Readable.from([bytes], { objectMode: false });
}

function breakingStream(bytes: Buffer): Readable {
  return Readable.from(
    (function* () {
      yield bytes.subarray(0, 100_000);
      throw new Error("the source broke");
    })(),
    { objectMode: false },
  );
}
