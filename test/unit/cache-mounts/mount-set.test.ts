import { describe, expect, test } from "vitest";
import {
  packType,
  parseMountSet,
  readMountSet,
  writeMountSet,
} from "../../../src/cache-mounts/mount-set.ts";
import type { MountSet } from "../../../src/cache-mounts/types.ts";
import { digestOf, mediaTypes } from "../../../src/core/index.ts";
import { cacheMountKey } from "../../../src/store/index.ts";
import { expectCode } from "../../support/expect-code.ts";
import { MemoryPlace } from "../../support/memory-place.ts";

const pack = { mediaType: packType, digest: digestOf("pack"), size: 1000 };
const [a, b, unused] = [digestOf("a"), digestOf("b"), digestOf("unused")];
const name = { id: "npm", mode: 0o700 };
const mount = {
  ...{ key: cacheMountKey(name), name, files: 2, size: 70, usedOn: 20_000 },
  ...{ catalogue: [a], contents: [b, b] },
};
const set: MountSet = {
  mounts: [mount],
  packs: new Map([[pack.digest, pack]]),
  chunks: new Map([
    [unused, { pack: pack.digest, offset: 900, stored: 5, size: 9 }],
    [a, { pack: pack.digest, offset: 0, stored: 10, size: 40 }],
    [b, { pack: pack.digest, offset: 10, stored: 35, size: 35 }],
  ]),
};

test("a set that was written is read as it was, without what no mount needs", async () => {
  const { manifest, manifestBytes, document, documentBytes } = writeMountSet(set);
  const place = new MemoryPlace(
    "memory",
    new Map([
      [manifest.digest, manifestBytes],
      [document.digest, documentBytes],
    ]),
  );
  const read = await readMountSet({ source: place, root: manifest });
  expect(read.mounts).toEqual(set.mounts);
  expect(read.packs).toEqual(set.packs);
  expect([...read.chunks.keys()]).toEqual([a, b]);
  expect(writeMountSet(read).manifest).toEqual(manifest);
});

test("what has the name and is no cache mounts is not taken for some", async () => {
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: a, size: 2 },
      layers: [],
    }),
  );
  const root = { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length };
  const source = new MemoryPlace("memory", new Map([[root.digest, bytes]]));
  await expectCode(readMountSet({ source, root }), "CACHE_MOUNTS_NOT_FOUND");
});

describe("a document is refused", () => {
  const good = JSON.parse(writeMountSet(set).documentBytes.toString()) as {
    version: number;
    chunks: unknown[][];
    mounts: Record<string, unknown>[];
  };
  const parse = (document: unknown): unknown =>
    parseMountSet(Buffer.from(JSON.stringify(document)), [pack]);
  const withChunk = (...chunk: unknown[]) => ({ ...good, chunks: [chunk, good.chunks[1]] });
  const withMount = (change: object) => ({ ...good, mounts: [{ ...good.mounts[0], ...change }] });
  const hex = "0".repeat(64);

  test.each([
    ["of another version", { ...good, version: 2 }],
    ["that is no object", []],
    ["with a name that is no digest", withChunk("../../etc", 40, 0, 0, 10)],
    ["with a pack that the manifest does not list", withChunk(hex, 40, 1, 0, 10)],
    ["that reads behind the end of a pack", withChunk(hex, 40, 0, 995, 10)],
    ["that reads before the beginning of a pack", withChunk(hex, 40, 0, -1, 10)],
    ["with a chunk that grows when it is stored", withChunk(hex, 40, 0, 0, 41)],
    ["with a chunk of a gigabyte", withChunk(hex, 2 ** 30, 0, 0, 10)],
    ["with half a byte", withChunk(hex, 40.5, 0, 0, 10)],
    ["with a mount without a key", withMount({ key: undefined })],
    ["with a key of no cache mount", withMount({ key: '{"id":""}' })],
    ["with a key that is written in another way", withMount({ key: '{"id": "npm"}' })],
    ["that names a chunk that is not there", withMount({ contents: [7] })],
    ["that names a chunk by a text", withMount({ catalogue: ["0"] })],
    [
      "with more content than any disk has",
      withMount({ contents: Array(1).fill(0), files: 2 ** 60 }),
    ],
    ["that has one mount twice", { ...good, mounts: [good.mounts[0], good.mounts[0]] }],
  ])("%s", (_, document) => {
    expect(() => parse(document)).toThrow(
      expect.objectContaining({ code: "CACHE_MOUNTS_INVALID" }),
    );
  });

  test("when it comes to more than an archive may have, however small it is", () => {
    const chunks = [[hex, 2 ** 20, 0, 0, 1000]];
    const contents = Array<number>(131_073).fill(0);
    const bomb = { ...good, chunks, mounts: [{ ...good.mounts[0], catalogue: [0], contents }] };
    expect(() => parse(bomb)).toThrow(expect.objectContaining({ code: "CACHE_MOUNTS_INVALID" }));
  });

  test("when it is no JSON", () => {
    expect(() => parseMountSet(Buffer.from("{"), [pack])).toThrow(
      expect.objectContaining({ code: "CACHE_MOUNTS_INVALID" }),
    );
  });
});
