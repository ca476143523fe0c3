import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import {
  digestOf,
  isVouchedFor,
  mediaTypes,
  parsePlatform,
  TsbuildError,
  type Digest,
} from "../../../src/core/index.ts";
import {
  copyGraph,
  serializeIndex,
  serializeManifest,
  type CopyProgress,
  type Descriptor,
} from "../../../src/image/index.ts";
import { MemoryPlace } from "../../support/memory-place.ts";
import {
  makeIndex,
  makeRandomImage,
  makeRandomIndex,
  type RandomImage,
} from "../../support/random-image.ts";
import { failureOf } from "../../support/expect-code.ts";

test("children arrive before their parents, each once [R4.15, R7.1]", async () => {
  const image = await makeRandomIndex(["linux/amd64", "linux/arm64"], { layers: 3 });
  const sink = new MemoryPlace("sink");
  await copyGraph({ source: new MemoryPlace("source", image.blobs), sink, root: image.root });
  expect([...sink.pushed].sort()).toEqual([...image.blobs.keys()].sort());
  expect(sink.pushed.at(-1)).toBe(image.root.digest);
  for (const child of image.images) {
    const place = sink.pushed.indexOf(child.root.digest);
    const below = [child.manifest.config, ...child.manifest.layers];
    for (const { digest } of below) expect(sink.pushed.indexOf(digest)).toBeLessThan(place);
  }
});

test("content that two images share moves once", async () => {
  const image = await makeRandomImage();
  const other = { ...image, root: { ...image.root, annotations: { again: "yes" } } };
  const index = makeIndex([image, other]);
  const source = new MemoryPlace("source", index.blobs);
  await copyGraph({ source, sink: new MemoryPlace("sink"), root: index.root });
  expect(new Set(source.fetched).size).toBe(source.fetched.length);
});

test("a sink is told that its content was verified on the way, which is true of the damaged, too", async () => {
  const image = await makeRandomImage();
  const told: boolean[] = [];
  class Asking extends MemoryPlace {
    override async push(descriptor: Descriptor, content: Readable): Promise<void> {
      told.push(isVouchedFor(content, descriptor.digest), isVouchedFor(content, digestOf("other")));
      await super.push(descriptor, content);
    }
  }
  const source = new MemoryPlace("source", image.blobs);
  await copyGraph({ source, sink: new Asking("sink"), root: image.root });
  expect(told).toEqual([...image.blobs].flatMap(() => [true, false]));
  const [layer] = image.manifest.layers;
  if (layer !== undefined) source.blobs.set(layer.digest, Buffer.alloc(layer.size));
  const sink = new Asking("sink");
  const copied = copyGraph({ source, sink, root: image.root });
  await expect(copied).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
  expect(sink.blobs.has(layer?.digest ?? image.root.digest)).toBe(false);
});

test("what the sink has is not fetched", async () => {
  const image = await makeRandomImage({ layers: 3 });
  const source = new MemoryPlace("source", image.blobs);
  const [first] = image.manifest.layers;
  const sink = new MemoryPlace("sink", pick(image, [first?.digest]));
  const result = await copyGraph({ source, sink, root: image.root });
  expect(source.fetched).not.toContain(first?.digest);
  expect(result.skipped).toEqual({ count: 1, bytes: first?.size });
  expect(result.copied.count).toBe(4);
});

test("a manifest that is there does not hide that a layer is not", async () => {
  const image = await makeRandomImage();
  const source = new MemoryPlace("source", image.blobs);
  const sink = new MemoryPlace("sink", pick(image, [image.root.digest]));
  await copyGraph({ source, sink, root: image.root });
  expect(sink.blobs.size).toBe(image.blobs.size);
});

test("a sink that promises whole graphs is asked for the top only", async () => {
  const image = await makeRandomImage();
  const source = new MemoryPlace("source", image.blobs);
  const sink = Object.assign(new MemoryPlace("sink", pick(image, [image.root.digest])), {
    hasChildrenToo: true as const,
  });
  await copyGraph({ source, sink, root: image.root });
  expect(source.fetched).toEqual([]);
});

describe("platform", () => {
  test("only the chosen image is copied, and told", async () => {
    const image = await makeRandomIndex(["linux/arm64", "linux/amd64"]);
    const sink = new MemoryPlace("sink");
    const result = await copyGraph({
      source: new MemoryPlace("source", image.blobs),
      sink,
      root: image.root,
      platform: parsePlatform("linux/amd64"),
    });
    const chosen = image.images[1];
    expect(result.root.digest).toBe(chosen?.root.digest);
    expect([...sink.blobs.keys()].sort()).toEqual([...(chosen?.blobs.keys() ?? [])].sort());
  });

  test("the index can come along without its other images", async () => {
    const image = await makeRandomIndex(["linux/arm64", "linux/amd64"]);
    const nested = makeIndex([image]);
    const sink = new MemoryPlace("sink");
    const result = await copyGraph({
      source: new MemoryPlace("source", nested.blobs),
      sink,
      root: nested.root,
      platform: parsePlatform("linux/arm64"),
      keepIndex: true,
    });
    const [chosen] = image.images;
    expect(result.root.digest).toBe(nested.root.digest);
    expect(result.manifest.digest).toBe(chosen?.root.digest);
    expect(sink.blobs.size).toBe((chosen?.blobs.size ?? 0) + 2);
  });

  test("an attestation is never chosen", async () => {
    const image = await makeRandomImage();
    const marked = {
      ...image,
      root: { ...image.root, annotations: { "vnd.docker.reference.type": "attestation-manifest" } },
    };
    const index = makeIndex([marked]);
    const copy = copyGraph({
      source: new MemoryPlace("source", index.blobs),
      sink: new MemoryPlace("sink"),
      root: index.root,
      platform: parsePlatform("linux/amd64"),
    });
    expect(await failureOf(copy)).toMatchObject({ code: "IMAGE_PLATFORM_NOT_FOUND" });
  });

  test("without a match, the failure lists what there is", async () => {
    const image = await makeRandomIndex(["linux/arm64", "linux/s390x"]);
    const copy = copyGraph({
      source: new MemoryPlace("source", image.blobs),
      sink: new MemoryPlace("sink"),
      root: image.root,
      platform: parsePlatform("linux/riscv64"),
    });
    expect(await failureOf(copy)).toMatchObject({
      code: "IMAGE_PLATFORM_NOT_FOUND",
      details: { available: ["linux/arm64", "linux/s390x"], side: "source" },
    });
  });
});

describe("failures", () => {
  test("damaged content is the source's fault, and nothing of it is stored [R4.8]", async () => {
    const image = await makeRandomImage();
    const layer = image.manifest.layers[1]?.digest ?? image.root.digest;
    const blobs = new Map(image.blobs);
    const good = blobs.get(layer) ?? Buffer.alloc(0);
    blobs.set(layer, Buffer.from(good.map((byte, index) => (index === 7 ? byte ^ 1 : byte))));
    const sink = new MemoryPlace("sink");
    const copy = copyGraph({ source: new MemoryPlace("source", blobs), sink, root: image.root });
    expect(await failureOf(copy)).toMatchObject({
      code: "DIGEST_MISMATCH",
      details: { side: "source", place: "source" },
    });
    expect(sink.blobs.has(layer)).toBe(false);
    expect(sink.blobs.has(image.root.digest)).toBe(false);
  });

  test("content that is too short or too long is told [R4.8]", async () => {
    const image = await makeRandomImage({ layers: 1 });
    const layer = image.manifest.layers[0]?.digest ?? image.root.digest;
    const good = image.blobs.get(layer) ?? Buffer.alloc(0);
    for (const bad of [good.subarray(1), Buffer.concat([good, good])]) {
      const source = new MemoryPlace("source", new Map(image.blobs).set(layer, bad));
      const copy = copyGraph({ source, sink: new MemoryPlace("sink"), root: image.root });
      expect(await failureOf(copy)).toMatchObject({ code: "SIZE_MISMATCH" });
    }
  });

  test("missing content is the source's fault", async () => {
    const image = await makeRandomImage();
    const source = new MemoryPlace("source", pick(image, [image.root.digest]));
    const copy = copyGraph({ source, sink: new MemoryPlace("sink"), root: image.root });
    expect(await failureOf(copy)).toMatchObject({
      code: "MEMORY_NOT_FOUND",
      details: { side: "source" },
    });
  });

  test("a sink that breaks while it reads is the sink's fault", async () => {
    const image = await makeRandomImage({ layerSize: 300_000 });
    const sink = new MemoryPlace("sink");
    sink.push = async (_descriptor, content) => {
      for await (const _chunk of content) {
        throw new TsbuildError({ code: "DISK_FULL", message: "write blob" });
      }
    };
    const source = new MemoryPlace("source", image.blobs);
    expect(await failureOf(copyGraph({ source, sink, root: image.root }))).toMatchObject({
      code: "DISK_FULL",
      details: { side: "sink", place: "sink" },
    });
  });

  test("a sink that destroys its input with its own error is the sink's fault", async () => {
    const image = await makeRandomImage({ layerSize: 300_000 });
    const sink = new MemoryPlace("sink");
    sink.push = (_descriptor, content) =>
      new Promise((_resolve, reject) => {
        content.once("error", reject);
        content.destroy(new Error("no space"));
      });
    const source = new MemoryPlace("source", image.blobs);
    expect(await failureOf(copyGraph({ source, sink, root: image.root }))).toMatchObject({
      code: "IMAGE_COPY_FAILED",
      details: { side: "sink" },
    });
  });

  test("a sink that was overtaken by another writer may stop reading", async () => {
    const image = await makeRandomImage({ layerSize: 300_000 });
    const sink = new MemoryPlace("sink");
    const opened: Readable[] = [];
    const source = new MemoryPlace("source", image.blobs);
    const fetch = source.fetch.bind(source);
    source.fetch = async (descriptor) => {
      const stream = await fetch(descriptor);
      opened.push(stream);
      return stream;
    };
    sink.push = () => Promise.resolve();
    await copyGraph({ source, sink, root: image.root });
    expect(opened.every((stream) => stream.destroyed)).toBe(true);
  });

  test("the first failure stops the rest, and nothing is at work when it is told", async () => {
    const image = await makeRandomImage({ layers: 8 });
    const failing = image.manifest.layers[0]?.digest;
    let atWork = 0;
    const sink = new MemoryPlace("sink");
    sink.push = async (descriptor, content, signal?: AbortSignal) => {
      atWork += 1;
      try {
        await buffer(content);
        if (descriptor.digest === failing) throw new Error("broken");
        await untilAborted(signal);
      } finally {
        atWork -= 1;
      }
    };
    const source = new MemoryPlace("source", image.blobs);
    const copy = copyGraph({ source, sink, root: image.root });
    expect(await failureOf(copy)).toMatchObject({ code: "IMAGE_COPY_FAILED" });
    expect(atWork).toBe(0);
    expect(source.fetched.length).toBeLessThan(8);
  });

  test("cancelling is told as such", async () => {
    const image = await makeRandomImage();
    const abort = new AbortController();
    const sink = new MemoryPlace("sink");
    sink.push = async (_descriptor, _content, signal?: AbortSignal) => {
      abort.abort();
      await untilAborted(signal);
    };
    const source = new MemoryPlace("source", image.blobs);
    const copy = copyGraph({ source, sink, root: image.root, signal: abort.signal });
    expect(await failureOf(copy)).toMatchObject({ code: "CANCELED" });
  });

  test("indexes in indexes come to an end [R4.7]", async () => {
    let graph: RandomImage = await makeRandomImage();
    for (let depth = 0; depth < 9; depth += 1) graph = makeIndex([graph]);
    const source = new MemoryPlace("source", graph.blobs);
    for (const platform of [undefined, parsePlatform("linux/amd64")]) {
      const sink = new MemoryPlace("sink");
      const copy = copyGraph({ source, sink, root: graph.root, platform });
      expect(await failureOf(copy)).toMatchObject({ code: "IMAGE_TOO_DEEP" });
    }
  });
});

test("content that a descriptor carries inline is taken from there, if it is true [R4.9]", async () => {
  const config = Buffer.from("{}");
  const descriptor: Descriptor = {
    mediaType: mediaTypes.ociEmpty,
    digest: digestOf(config),
    size: 2,
    data: config.toString("base64"),
  };
  const bytes = serializeManifest({
    mediaType: mediaTypes.ociManifest,
    config: descriptor,
    layers: [{ ...descriptor, mediaType: "text/plain" }],
  });
  const root = { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length };
  const source = new MemoryPlace("source", new Map([[root.digest, bytes]]));
  const sink = new MemoryPlace("sink");
  await copyGraph({ source, sink, root });
  expect(sink.blobs.get(descriptor.digest)).toEqual(config);
  expect(source.fetched).toEqual([root.digest]);
});

describe("layers that must not be redistributed", () => {
  async function copyForeign(
    urls: readonly string[] | undefined,
    options: { readonly foreignLayers?: boolean; readonly isOwn?: boolean } = {},
  ): Promise<boolean> {
    const { isOwn, ...copying } = options;
    const image = await makeRandomImage();
    const foreign = Buffer.from("foreign");
    const layer = {
      mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
      digest: digestOf(foreign),
      size: foreign.length,
      ...(urls !== undefined && { urls }),
    };
    const bytes = serializeManifest({ ...image.manifest, layers: [layer] });
    const root = { ...image.root, digest: digestOf(bytes), size: bytes.length };
    const blobs = new Map(image.blobs).set(root.digest, bytes).set(layer.digest, foreign);
    const sink = new MemoryPlace("sink");
    if (isOwn !== undefined) sink.isOwn = isOwn;
    await copyGraph({ source: new MemoryPlace("source", blobs), sink, root, ...copying });
    return sink.blobs.has(layer.digest);
  }

  test("stay behind unless asked for [R7.14]", async () => {
    const urls = ["https://example.com/layer"];
    expect(await copyForeign(urls)).toBe(false);
    expect(await copyForeign(urls, { foreignLayers: false })).toBe(false);
    expect(await copyForeign(urls, { foreignLayers: true })).toBe(true);
  });

  test("come into a store of one's own when nothing says where else they are [R7.14]", async () => {
    expect(await copyForeign(undefined, { isOwn: true })).toBe(true);
    expect(await copyForeign([], { isOwn: true })).toBe(true);
    expect(await copyForeign(["https://example.com/layer"], { isOwn: true })).toBe(false);
    expect(await copyForeign(undefined)).toBe(false);
    expect(await copyForeign([])).toBe(false);
  });
});

test("unknown members of an index are copied like the rest, byte for byte", async () => {
  const blob = Buffer.from("anything");
  const index = serializeIndex({
    mediaType: mediaTypes.ociIndex,
    manifests: [{ mediaType: "application/x-strange", digest: digestOf(blob), size: blob.length }],
  });
  const root = { mediaType: mediaTypes.ociIndex, digest: digestOf(index), size: index.length };
  const blobs = new Map([
    [root.digest, index],
    [digestOf(blob), blob],
  ]);
  const sink = new MemoryPlace("sink");
  await copyGraph({ source: new MemoryPlace("source", blobs), sink, root });
  expect(sink.blobs).toEqual(blobs);
});

test("progress ends with every piece done once [R7.18]", async () => {
  const image = await makeRandomImage({ layerSize: 200_000 });
  const [first] = image.manifest.layers;
  const events: CopyProgress[] = [];
  await copyGraph({
    source: new MemoryPlace("source", image.blobs),
    sink: new MemoryPlace("sink", pick(image, [first?.digest])),
    root: image.root,
    onProgress: (progress) => events.push(progress),
  });
  const done = events.filter((event) => event.done);
  expect(done.map((event) => event.descriptor.digest).sort()).toEqual(
    [...image.blobs.keys()].sort(),
  );
  expect(done.every((event) => event.current === event.descriptor.size)).toBe(true);
  expect(done.filter((event) => event.skipped).map((event) => event.descriptor.digest)).toEqual([
    first?.digest,
  ]);
});

test("no more pieces move at a time than allowed", async () => {
  const image = await makeRandomImage({ layers: 9 });
  let atWork = 0;
  let most = 0;
  const sink = new MemoryPlace("sink");
  sink.push = async (_descriptor, content) => {
    most = Math.max(most, ++atWork);
    await buffer(content);
    await new Promise(setImmediate);
    atWork -= 1;
  };
  const source = new MemoryPlace("source", image.blobs);
  await copyGraph({ source, sink, root: image.root, concurrency: 3 });
  expect(most).toBe(3);
});

function pick(image: RandomImage, digests: readonly (Digest | undefined)[]): Map<Digest, Buffer> {
  return new Map([...image.blobs].filter(([digest]) => digests.includes(digest)));
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(new Error("aborted"));
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop);
  });
}
