import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { digestOf, digestMismatch, asRetryable } from "../../../src/core/index.ts";
import { copyContent, type ContentSource, type Descriptor } from "../../../src/image/index.ts";
import { failureOf } from "../../support/expect-code.ts";
import { MemoryPlace } from "../../support/memory-place.ts";

const bytes = Buffer.from("a blob that came in two parts");
const descriptor: Descriptor = {
  mediaType: "text/plain",
  digest: digestOf(bytes),
  size: bytes.length,
};

/** A source that tells from where it was read. */
function sourceOf(content: Buffer): ContentSource & { readonly read: number[] } {
  const read: number[] = [];
  const from = (offset: number): Promise<Readable> => {
    read.push(offset);
    return Promise.resolve(Readable.from([content.subarray(offset)], { objectMode: false }));
  };
  return {
    read,
    label: "two parts",
    fetch: () => from(0),
    fetchFrom: (_descriptor, offset) => from(offset),
    resolve: () => Promise.resolve(undefined),
  };
}

/** A sink that has kept something, once. */
function sinkWith(...beginnings: readonly Buffer[]) {
  const left = [...beginnings];
  return Object.assign(new MemoryPlace(), {
    takePartial: () => {
      const kept = left.shift();
      if (kept === undefined) return Promise.resolve(undefined);
      const content = Readable.from([kept], { objectMode: false });
      return Promise.resolve({ size: kept.length, content });
    },
  });
}

test.each([0, 10, bytes.length])("a copy goes on behind %i kept bytes [R4.18]", async (kept) => {
  const source = sourceOf(bytes);
  const sink = sinkWith(bytes.subarray(0, kept));
  await copyContent({ source, sink, descriptor });
  expect(sink.blobs.get(descriptor.digest)).toEqual(bytes);
  expect(source.read).toEqual(kept === bytes.length ? [] : [kept]);
});

test.each([Buffer.alloc(10), Buffer.alloc(bytes.length + 1)])(
  "wrong bytes that were kept cost nothing but time [R4.18]",
  async (kept) => {
    const source = sourceOf(bytes);
    const sink = sinkWith(kept);
    await copyContent({ source, sink, descriptor });
    expect(sink.blobs.get(descriptor.digest)).toEqual(bytes);
    expect(source.read.at(-1)).toBe(0);
  },
);

test("wrong bytes of the source are told all the same [R4.18]", async () => {
  const source = sourceOf(Buffer.alloc(bytes.length));
  const sink = sinkWith(bytes.subarray(0, 10));
  const error = await failureOf(copyContent({ source, sink, descriptor }));
  expect(error.code).toBe("DIGEST_MISMATCH");
  expect(source.read).toEqual([10, 0]);
  expect(sink.blobs.size).toBe(0);
});

test("wrong bytes of one host are fetched from the next [R2.16]", async () => {
  const right = sourceOf(bytes);
  const wrong = digestMismatch(descriptor.digest, digestOf("x"), "a mirror");
  async function* lying(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(Buffer.from("x"));
    throw asRetryable(wrong);
  }
  const answers = [Readable.from(lying(), { objectMode: false })];
  const fetch = (): Promise<Readable> =>
    Promise.resolve(answers.shift() ?? right.fetch(descriptor));
  const sink = new MemoryPlace();
  await copyContent({ source: { ...right, fetch }, sink, descriptor });
  expect(sink.blobs.get(descriptor.digest)).toEqual(bytes);
});
