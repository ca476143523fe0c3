import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isTsbuildError } from "../../src/core/index.ts";
import {
  type LayerEntryWithContent,
  readLayerTar,
  toRootPath,
  LayerTarDigester,
  writeLayerTar,
} from "../../src/layer/index.ts";
import { usualHeaderSize, writeUsualHeader } from "../../src/layer/tar/usual-header.ts";
import { formatAnyHeader } from "../../src/layer/tar/write-header.ts";
import { collect } from "../support/collect.ts";

const nanosecond = 1_000_000_000n;

const component = fc
  .uint8Array({ minLength: 1, maxLength: 120 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x78 : byte))))
  .filter((bytes) => bytes.toString() !== "." && bytes.toString() !== "..");
const path = fc
  .array(component, { minLength: 1, maxLength: 5 })
  .map((parts) =>
    toRootPath(Buffer.from(parts.map((part) => part.toString("latin1")).join("/"), "latin1")),
  );

const looks = fc.record({
  path,
  mode: fc.nat(0o7777),
  uid: fc.nat(0xffff_fffe),
  gid: fc.nat(0xffff_fffe),
  mtime: fc.bigInt({ min: -(2n ** 40n) * nanosecond, max: 2n ** 40n * nanosecond }),
});
const xattrs = fc
  .dictionary(
    fc.stringMatching(/^[a-z%=0-9.]{1,20}$/),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    { maxKeys: 3, noNullPrototype: true },
  )
  .map((record) => new Map(Object.entries(record).map(([name, value]) => [`user.${name}`, value])));

const target = fc
  .uint8Array({ minLength: 1, maxLength: 200 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 ? 1 : byte))));

const entry: fc.Arbitrary<LayerEntryWithContent> = fc.oneof(
  fc.tuple(looks, xattrs, fc.uint8Array({ maxLength: 2000 })).map(([rest, attributes, bytes]) => ({
    ...rest,
    type: "file" as const,
    size: bytes.length,
    ...(attributes.size === 0 ? {} : { xattrs: attributes }),
    read: () => Buffer.from(bytes),
  })),
  looks.map((rest) => ({ ...rest, type: "directory" as const, size: 0 })),
  looks.map((rest) => ({ ...rest, type: "fifo" as const, size: 0 })),
  fc
    .tuple(looks, target)
    .map(([rest, linkTarget]) => ({ ...rest, type: "symlink" as const, size: 0, linkTarget })),
  fc
    .tuple(looks, path)
    .map(([rest, linkTarget]) => ({ ...rest, type: "hardlink" as const, size: 0, linkTarget })),
  fc.tuple(looks, fc.nat(0xfff), fc.nat(0xfffff)).map(([rest, devMajor, devMinor]) => ({
    ...rest,
    type: "block-device" as const,
    size: 0,
    devMajor,
    devMinor,
  })),
);

function plain({ open: _open, read, ...rest }: LayerEntryWithContent) {
  return { ...rest, content: read?.().toString("hex") };
}

test("what is written is read", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 8 }),
      fc.integer({ min: 1, max: 5000 }),
      async (entries, size) => {
        const bytes = await buffer(writeLayerTar(entries));
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
          bytes.subarray(index * size, (index + 1) * size),
        );
        const found: unknown[] = [];
        for await (const read of readLayerTar(Readable.from(chunks))) found.push(plain(read));
        expect(found).toEqual(entries.map(plain));
      },
    ),
    { numRuns: 60 },
  );
});

/** Most of them get a header that is made from the last one. */
const usual = fc.record({
  path: fc.oneof(
    fc.stringMatching(/^[a-zé ]{1,4}(\/[a-z~.]{1,60}){0,5}$/).map((text) => Buffer.from(text)),
    path,
  ),
  type: fc.constantFrom("file" as const, "directory" as const),
  mode: fc.constantFrom(0o644, 0o755, 0o4755, 0),
  uid: fc.constantFrom(0, 0, 1000, 0o7777777, 0o10000000),
  gid: fc.constantFrom(0, 0, 1, 1000, 0xffff_fffe),
  size: fc.oneof(fc.nat(3000), fc.nat(3000), fc.constantFrom(0o77777777777, 0o100000000000)),
  mtime: fc
    .tuple(
      fc.oneof(fc.bigInt({ min: -2n, max: 2n ** 34n }), fc.constantFrom(0n, 2n ** 33n - 1n)),
      fc.oneof(fc.bigInt({ min: 0n, max: nanosecond - 1n }), fc.constantFrom(0n, 1n, 500_000_000n)),
    )
    .map(([seconds, rest]) => seconds * nanosecond + rest),
});

test("a header that is made from the last one has the bytes of any header", () => {
  const place = Buffer.alloc(usualHeaderSize + 7, 0x55);
  let count = 0;
  fc.assert(
    fc.property(fc.array(usual, { minLength: 1, maxLength: 20 }), (entries) => {
      for (const looks of entries) {
        const length = writeUsualHeader(looks, place, 7);
        if (length === 0) continue;
        count++;
        expect(place.subarray(7, 7 + length).equals(formatAnyHeader(looks))).toBe(true);
      }
    }),
    { numRuns: 400 },
  );
  expect(count).toBeGreaterThan(200);
});

test("a header from rows of numbers is that of the entry, whatever its name", () => {
  const node = fc.record({
    type: fc.constantFrom("file" as const, "directory" as const),
    path,
    mode: fc.nat(0o7777),
    uid: fc.nat(0xffff_fffe),
    gid: fc.nat(0xffff_fffe),
    size: fc.nat(2 ** 40),
    seconds: fc.nat(2 ** 34),
    nanoseconds: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
  });
  fc.assert(
    fc.property(fc.array(node, { minLength: 1, maxLength: 8 }), (nodes) => {
      const [rows, entries] = [new LayerTarDigester(), new LayerTarDigester()];
      for (const { seconds, nanoseconds, ...looks } of nodes) {
        rows.usualHeader({ ...looks, seconds, nanoseconds });
        entries.header({ ...looks, mtime: BigInt(seconds) * nanosecond + BigInt(nanoseconds) });
      }
      expect(rows.finish()).toEqual(entries.finish());
    }),
  );
});

test("damaged archives end in an error of ours, or are read", async () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { minLength: 1, maxLength: 4 }),
      damage,
      fc.nat(),
      async (entries, changes, cut) => {
        const bytes = await buffer(writeLayerTar(entries));
        for (const [position, value] of changes) bytes.writeUInt8(value, position % bytes.length);
        const input = Readable.from([bytes.subarray(0, cut % (2 * bytes.length))]);
        const error: unknown = await collect(readLayerTar(input)).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error === undefined) return;
        expect(isTsbuildError(error) && error.code.startsWith("LAYER_")).toBe(true);
      },
    ),
    { numRuns: 150 },
  );
});
