import { execFileSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { large, raw } from "../../../fixtures/hostile/index.ts";
import { digestOf } from "../../../src/core/index.ts";
import { type LayerEntryWithContent, openLayer, readLayerTar } from "../../../src/layer/index.ts";
import { expectCode, failureOf } from "../../support/expect-code.ts";
import { pseudoRandomBytes } from "../../support/random.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

/** Where data lies in each file, [offset, length], and how long the file is. */
const files: Readonly<
  Record<string, { readonly data: readonly (readonly [number, number])[]; readonly size: number }>
> = {
  "small with a hole": { data: [[256 * kibibyte, 100]], size: 512 * kibibyte },
  "data at both ends": {
    data: [
      [0, 5000],
      [3 * mebibyte, 777],
    ],
    size: 3 * mebibyte + 777,
  },
  "a hole at each end": { data: [[mebibyte, 3 * mebibyte]], size: 9 * mebibyte + 1 },
  "nothing but a hole": { data: [], size: 2 * mebibyte },
  // More than an old header has room for, and the block that follows it.
  "sixty regions": {
    data: Array.from({ length: 60 }, (_, index) => [index * 128 * kibibyte, 4096] as const),
    size: 8 * mebibyte,
  },
  [`a name of its own header ${"n".repeat(100)}`]: { data: [[mebibyte, 10]], size: 2 * mebibyte },
};
const names = Object.keys(files).sort();
const seconds = 1_600_000_000;

const formats = [
  ["gnu", ["--format=gnu"]],
  ["pax 0.0", ["--format=pax", "--sparse-version=0.0"]],
  ["pax 0.1", ["--format=pax", "--sparse-version=0.1"]],
  ["pax 1.0", ["--format=pax", "--sparse-version=1.0"]],
] as const;

const folder = mkdtempSync(join(tmpdir(), "tsbuild-sparse-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
beforeAll(() => {
  for (const [name, { data, size }] of Object.entries(files)) {
    const path = join(folder, name);
    const fd = openSync(path, "wx", 0o640);
    ftruncateSync(fd, size);
    for (const [offset, length] of data)
      writeSync(fd, pseudoRandomBytes(length), 0, length, offset);
    closeSync(fd);
    utimesSync(path, seconds, seconds);
  }
});
beforeEach(() => () => vi.unstubAllEnvs());

function pack(flags: readonly string[]): Buffer {
  const owner = ["--owner=7", "--group=8", "--mode=0640"];
  return execFileSync("tar", ["-C", folder, "-S", ...flags, ...owner, "-c", "--", ...names], {
    maxBuffer: 64 * mebibyte,
  });
}

async function contentOf(entry: LayerEntryWithContent): Promise<Buffer> {
  return entry.read?.() ?? buffer(entry.open?.() ?? Readable.from([]));
}

function* chunksOf(bytes: Buffer, size: number): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += size)
    yield bytes.subarray(start, start + size);
}

describe.each(formats)("a sparse file as GNU tar packs it, %s", (_name, flags) => {
  test.each([1000, 65_536, Infinity])("is what it was, in chunks of %d bytes", async (size) => {
    const bytes = pack(flags);
    // The holes are not in it.
    expect(bytes.length).toBeLessThan(4 * mebibyte);
    const found: string[] = [];
    for await (const entry of readLayerTar(Readable.from(chunksOf(bytes, size)))) {
      const name = String(entry.path);
      found.push(name);
      const { type, mode, uid, gid, mtime } = entry;
      expect({ type, mode, uid, gid, mtime, size: entry.size }).toEqual({
        type: "file",
        mode: 0o640,
        uid: 7,
        gid: 8,
        mtime: BigInt(seconds) * 1_000_000_000n,
        size: files[name]?.size,
      });
      expect((await contentOf(entry)).equals(readFileSync(join(folder, name)))).toBe(true);
    }
    expect(found).toEqual(names);
  });

  test("is skipped where nobody reads it, or reads a part", async () => {
    const found: string[] = [];
    for await (const entry of readLayerTar(Readable.from(chunksOf(pack(flags), 100_000)))) {
      found.push(String(entry.path));
      if (found.length % 2 === 0) continue;
      const content = entry.open?.();
      content?.once("data", () => content.destroy());
      await new Promise((resolve) => content?.once("close", resolve));
    }
    expect(found).toEqual(names);
  });

  test("leaves the layer's digest that of the bytes as they were read", async () => {
    const bytes = pack(flags);
    const layer = await openLayer(Readable.from([bytes]));
    for await (const entry of layer.entries) expect(entry.type).toBe("file");
    expect(await layer.finish()).toEqual({ diffId: digestOf(bytes), tarSize: bytes.length });
  });

  test("that is cut off is told by its name, wherever that is", async () => {
    const bytes = pack(flags);
    const end = bytes.length - 20 * raw.blockSize;
    for (let cut = raw.blockSize; cut < end; cut += 97 * raw.blockSize) {
      const reading = (async () => {
        for await (const entry of readLayerTar(Readable.from([bytes.subarray(0, cut)])))
          if (entry.open !== undefined) for await (const _part of entry.open());
      })();
      const failure = await failureOf(reading);
      expect(failure.code, `cut at ${String(cut)}`).toBe("LAYER_TRUNCATED");
    }
  });
});

/** An archive of files that are holes of these sizes. */
function holes(sizes: Readonly<Record<string, number>>): Buffer {
  return raw.tar(...Object.entries(sizes).flatMap(([name, size]) => [...large.hole(size, name)]));
}

async function sizesIn(tar: Buffer): Promise<readonly number[]> {
  const sizes: number[] = [];
  for await (const entry of readLayerTar(Readable.from([tar]))) sizes.push(entry.size);
  return sizes;
}

describe("holes of strangers", () => {
  test("count as what they stand for, all of an archive together", async () => {
    vi.stubEnv("TSBUILD_MAX_UNPACKED_SIZE", "16m");
    const half = 8 * mebibyte;
    expect(await sizesIn(holes({ a: half, b: half }))).toEqual([half, half]);
    const failure = await failureOf(sizesIn(holes({ a: half, b: half + 1 })));
    expect(failure.code).toBe("LAYER_LIMIT_EXCEEDED");
    expect(failure.message).toContain("with b");
    expect(failure.hint).toContain("TSBUILD_MAX_UNPACKED_SIZE");
  });

  test("end at 128 GiB unless told otherwise", async () => {
    const most = 128 * 1024 * mebibyte;
    expect(await sizesIn(holes({ a: most }))).toEqual([most]);
    await expectCode(sizesIn(holes({ a: most + 1 })), "LAYER_LIMIT_EXCEEDED");
  });

  test("are no part of a tar whose contents lie elsewhere", async () => {
    const entries = readLayerTar(Readable.from([holes({ a: 1 })]), { contentsElsewhere: true });
    await expectCode(entries.next(), "LAYER_ENTRY_UNSUPPORTED");
  });
});
