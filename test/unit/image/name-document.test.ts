import { describe, expect, test } from "vitest";
import { mediaTypes, parsePlatform } from "../../../src/core/index.ts";
import {
  copyGraph,
  maxManifestSize,
  readImage,
  selectManifest,
  serializeIndex,
  type Descriptor,
} from "../../../src/image/index.ts";
import { failureOf } from "../../support/expect-code.ts";
import { MadeContent } from "../../support/image-maker.ts";
import { MemoryPlace } from "../../support/memory-place.ts";

const platform = parsePlatform("linux/amd64");

/** What is told, whichever way a document is come upon. */
async function failures(source: MadeContent, root: Descriptor): Promise<readonly string[]> {
  const ways = [
    () => readImage({ source, root, platform }),
    () => copyGraph({ source, sink: new MemoryPlace("sink"), root }),
    () => copyGraph({ source, sink: new MemoryPlace("sink"), root, platform }),
  ];
  return Promise.all(ways.map(async (way) => (await failureOf(way())).message));
}

function addIndex(source: MadeContent, manifests: readonly Descriptor[]): Descriptor {
  const mediaType = mediaTypes.ociIndex;
  return source.add(mediaType, serializeIndex({ mediaType, manifests }));
}

describe("a document that is refused", () => {
  test.each([
    ["no JSON", "<html>"],
    ["of schema 1", '{"schemaVersion":1}'],
    ["of another type", JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex })],
    ["with a size of nothing", '{"schemaVersion":2,"config":{"size":-1}}'],
  ])("%s is told with its digest and place [R6.6]", async (_what, text) => {
    const source = new MadeContent();
    const manifest = source.add(mediaTypes.ociManifest, Buffer.from(text));
    const root = addIndex(source, [{ ...manifest, platform }]);
    for (const message of [
      ...(await failures(source, manifest)),
      ...(await failures(source, root)),
    ]) {
      expect(message).toContain(`(${manifest.digest} from made content)`);
    }
  });

  test("is told once where it is an index, or too large, or inside itself [R6.6, R4.7]", async () => {
    const source = new MadeContent();
    const broken = source.add(mediaTypes.ociIndex, Buffer.from("{}"));
    const large = { ...broken, size: maxManifestSize + 1 };
    let deep = addIndex(source, []);
    for (let depth = 0; depth < 9; depth += 1) deep = addIndex(source, [deep]);
    for (const root of [broken, large, deep]) {
      for (const message of await failures(source, root)) {
        expect(message.split("from made content")).toHaveLength(2);
        expect(message).toMatch(/sha256:[0-9a-f]{64} from made content/);
      }
    }
  });

  test("a config is told by its own digest, not by that of its manifest [R6.6]", async () => {
    const source = new MadeContent();
    const { root, config } = await source.addImage([{ a: "1" }]);
    const bytes = source.blobs.get(root.digest)?.toString() ?? "";
    const list = source.add(mediaTypes.ociConfig, Buffer.from("[]"));
    const changed = bytes
      .replace(config.digest, list.digest)
      .replace(`"size": ${String(config.size)}`, `"size": ${String(list.size)}`);
    const manifest = source.add(root.mediaType, Buffer.from(changed));
    const { message } = await failureOf(readImage({ source, root: manifest, platform }));
    expect(message).toContain(`(${list.digest} from made content)`);
  });
});

test("of thousands of platforms only some are told [R5.5]", async () => {
  const source = new MadeContent();
  const { root: image } = await source.addImage([{ a: "1" }]);
  const named = Array.from({ length: 1000 }, (_, number) => ({
    ...image,
    platform: { os: "linux", architecture: `a${String(number)}` },
  }));
  const root = addIndex(source, named);
  const { hint, details } = await failureOf(selectManifest({ source, root, platform }));
  expect(hint).toMatch(/ and 970 more$/);
  expect(details["available"]).toHaveLength(1000);
});
