import { readdir, readFile, utimes } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { openLayoutSink } from "../../../src/archive/index.ts";
import { digestOf, mediaTypes } from "../../../src/core/index.ts";
import { copyGraph, type Descriptor, type Index } from "../../../src/image/index.ts";
import { MadeContent } from "../../support/image-maker.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const refName = "org.opencontainers.image.ref.name";

function imageCalled(text: string): Descriptor {
  return { mediaType: mediaTypes.ociManifest, digest: digestOf(text), size: text.length };
}

async function refsIn(directory: string): Promise<readonly (string | undefined)[]> {
  const text = await readFile(join(directory, "index.json"), "utf8");
  const { manifests } = JSON.parse(text) as Index;
  return manifests.map(({ annotations }) => annotations?.[refName]);
}

test("writers of one layout at the same time keep each other's images", async () => {
  const directory = await temporaryFolder();
  const names = ["a", "b", "c", "d", "e"];
  const sinks = await Promise.all(names.map(async () => openLayoutSink(directory)));
  for (const [at, sink] of sinks.entries()) {
    const name = names[at] ?? "";
    sink.nameAs(name, imageCalled(name));
  }
  await Promise.all(sinks.map(async (sink) => sink.finish()));
  expect((await refsIn(directory)).toSorted()).toEqual(names);
});

test("a name that two writers give is the later one's", async () => {
  const directory = await temporaryFolder();
  const [first, second] = [await openLayoutSink(directory), await openLayoutSink(directory)];
  first.nameAs("app", imageCalled("old"));
  second.nameAs("app", imageCalled("new"));
  await first.finish();
  await second.finish();
  expect(await refsIn(directory)).toEqual(["app"]);
  const index = await readFile(join(directory, "index.json"), "utf8");
  expect(index).toContain(imageCalled("new").digest);
});

test("layers come several at a time: each is a file of its own [R4.15]", async () => {
  const directory = await temporaryFolder();
  const source = new MadeContent();
  const { root, layers } = await source.addImage([{ a: "1" }, { b: "2" }, { c: "3" }]);
  let waiting = 0;
  let goOn = (): void => undefined;
  const everyone = new Promise<void>((resolve) => (goOn = resolve));
  const slow = {
    label: source.label,
    resolve: () => source.resolve(),
    // None of the layers comes before all of them were asked for.
    fetch: async (descriptor: Descriptor) => {
      if (layers.some(({ digest }) => digest === descriptor.digest)) {
        waiting += 1;
        if (waiting === layers.length) goOn();
        await everyone;
      }
      return source.fetch(descriptor);
    },
  };
  const sink = await openLayoutSink(directory);
  await copyGraph({ source: slow, sink, root });
  sink.nameAs("app", root);
  await sink.finish();
  expect(await refsIn(directory)).toEqual(["app"]);
  for (const { digest, size } of layers) {
    const path = join(directory, "blobs", digest.replace(":", "/"));
    expect((await readFile(path)).length).toBe(size);
  }
});

describe("what nothing leads to is removed", () => {
  const [day, days] = [24 * 60 * 60 * 1000, 3 * 24 * 60 * 60 * 1000];

  /** A layout of old blobs without a name. */
  async function layoutOf(...texts: readonly string[]) {
    const directory = await temporaryFolder();
    const sink = await openLayoutSink(directory);
    const longAgo = new Date(Date.now() - days);
    for (const text of texts) {
      await sink.push(imageCalled(text), Readable.from([Buffer.from(text)]));
      const { digest } = imageCalled(text);
      await utimes(join(directory, "blobs", ...digest.split(":")), longAgo, longAgo);
    }
    return { directory, sink };
  }

  const blobsIn = async (directory: string): Promise<readonly string[]> =>
    (await readdir(join(directory, "blobs/sha256"))).map((name) => `sha256:${name}`);

  test("but what somebody has asked for a moment ago, who is about to name it", async () => {
    const { directory, sink } = await layoutOf("asked for", "old");
    expect(await sink.has(imageCalled("asked for"))).toBe(true);
    await (await openLayoutSink(directory)).removeUnnamed({ minAge: day });
    expect(await blobsIn(directory)).toEqual([imageCalled("asked for").digest]);
  });

  test("also where an image is named whose manifest is not there", async () => {
    const { directory, sink } = await layoutOf("old");
    sink.nameAs("gone", imageCalled("gone"));
    await sink.finish();
    await sink.removeUnnamed({ minAge: day });
    expect(await blobsIn(directory)).toEqual([]);
    expect(await refsIn(directory)).toEqual(["gone"]);
  });
});
