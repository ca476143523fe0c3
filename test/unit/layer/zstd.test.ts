import { execFileSync } from "node:child_process";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { findProgram } from "../../../src/layer/filter-program.ts";
import { compressZstd, decompress } from "../../../src/layer/index.ts";
import { pseudoRandomBytes } from "../../support/random.ts";

const text = Buffer.from("some text, again and again. ".repeat(40_000));
const sample = Buffer.concat([text, pseudoRandomBytes(200_000), text, Buffer.alloc(500_000)]);

const program = findProgram("zstd") ?? "zstd";

function byProgram(args: readonly string[], input: Buffer): Buffer {
  return execFileSync(program, ["-cq", ...args], { input, maxBuffer: 1 << 27 });
}

/** In pieces of a size that fits nothing. */
async function expand(bytes: Buffer, piece = 7777): Promise<Buffer> {
  const pieces = Array.from({ length: Math.ceil(bytes.length / piece) }, (_, index) =>
    bytes.subarray(index * piece, (index + 1) * piece),
  );
  const { compression, content } = await decompress(Readable.from(pieces));
  expect(compression).toBe("zstd");
  return buffer(content);
}

/** A skippable frame; its content is for others. */
function skippable(content: string, kind = 0): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x184d2a50 + kind, 0);
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, Buffer.from(content)]);
}

/** A frame of which only the header is true: a window of so many bytes, by its descriptor. */
function frameWithWindow(descriptor: number): Buffer {
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, descriptor, 0x01, 0x00, 0x00]);
}

afterEach(() => {
  vi.unstubAllEnvs();
});

const makesZstd = findProgram("zstd") !== undefined;

describe.runIf(makesZstd).for([
  ["the quickest decoder that is here", process.env["PATH"] ?? ""],
  ["the decoder for places that have none", "/nonexistent"],
])("%s", ([, path]) => {
  const decoded = async (bytes: Buffer, piece?: number): Promise<Buffer> => {
    vi.stubEnv("PATH", path);
    return expand(bytes, piece);
  };

  test.for([
    ["-1"],
    ["-3"],
    ["-19"],
    ["--ultra", "-22"],
    ["--long=27"],
    ["--no-check"],
    ["--fast=9"],
  ])("reads what zstd %j writes", async (args) => {
    expect((await decoded(byProgram(args, sample))).equals(sample)).toBe(true);
  });

  test("reads many frames with frames to skip between them", async () => {
    const [head, tail] = [sample.subarray(0, 1_000_001), sample.subarray(1_000_001)];
    const stream = [
      skippable("first"),
      byProgram([], head),
      skippable("", 15),
      byProgram([], tail),
    ];
    expect((await decoded(Buffer.concat([...stream, skippable("last", 7)]))).equals(sample)).toBe(
      true,
    );
  });

  test("reads nothing: an empty frame, or only frames to skip", async () => {
    expect(await decoded(byProgram([], Buffer.alloc(0)))).toHaveLength(0);
    expect(await decoded(skippable("nothing"))).toHaveLength(0);
  });

  test("a stream that ends anywhere but behind a frame is truncated", async () => {
    const bytes = byProgram([], text);
    for (const length of [4, 5, 7, 20, bytes.length - 5, bytes.length - 1])
      await expect(decoded(bytes.subarray(0, length)), String(length)).rejects.toMatchObject({
        code: "LAYER_TRUNCATED",
      });
    await expect(decoded(Buffer.concat([bytes, bytes.subarray(0, 3)]))).rejects.toMatchObject({
      code: "LAYER_TRUNCATED",
    });
  });

  test("a damaged stream is broken, and so is what follows that is no frame", async () => {
    const damaged = Buffer.from(byProgram([], sample));
    damaged.fill(0x55, 20, 60);
    const followed = Buffer.concat([byProgram([], text), Buffer.from("rest")]);
    await expect(decoded(damaged)).rejects.toMatchObject({ code: "LAYER_COMPRESSION_BROKEN" });
    await expect(decoded(followed)).rejects.toMatchObject({ code: "LAYER_COMPRESSION_BROKEN" });
  });

  test("content that is not what its checksum or its length says is broken", async () => {
    const whole = byProgram([], sample);
    const badSum = Buffer.from(whole);
    badSum[badSum.length - 1] = ~(badSum.at(-1) ?? 0) & 0xff;
    // A raw block of "hello", whose header says that it is four bytes.
    const hello = Buffer.from([0x29, 0x00, 0x00, ...Buffer.from("hello")]);
    const badSize = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x04]), hello]);
    const badContent = byProgram(["--check", "-1"], pseudoRandomBytes(999));
    badContent[500] = ~(badContent[500] ?? 0) & 0xff;
    for (const bytes of [badSum, Buffer.concat([whole, badSum, whole]), badSize, badContent])
      await expect(decoded(bytes)).rejects.toMatchObject({ code: "LAYER_COMPRESSION_BROKEN" });
  });

  test("a checksum is right for content of every length", async () => {
    for (const length of [0, 1, 3, 4, 7, 8, 31, 32, 33, 63, 64, 100, 131_071, 131_072, 131_073]) {
      const bytes = pseudoRandomBytes(length);
      expect((await decoded(byProgram(["--check"], bytes))).equals(bytes), String(length)).toBe(
        true,
      );
    }
  });

  test("a window of 128 MiB is read, a larger one is refused before any memory is taken", async () => {
    expect(await decoded(frameWithWindow(17 << 3))).toHaveLength(0);
    await expect(decoded(frameWithWindow((17 << 3) + 1))).rejects.toMatchObject({
      code: "LAYER_LIMIT_EXCEEDED",
      details: { window: 128 * 1024 * 1024 * 1.125, limit: 128 * 1024 * 1024 },
    });
  });

  test("a bomb ends at the limit", async () => {
    const bomb = byProgram([], Buffer.alloc(20_000_000));
    vi.stubEnv("PATH", path);
    const { content } = await decompress(Readable.from([bomb]), { maxBytes: 1_000_000 });
    await expect(buffer(content)).rejects.toMatchObject({ code: "LAYER_LIMIT_EXCEEDED" });
  });
});

test("a frame that needs a dictionary is refused by name", async () => {
  const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x00, 0x07, 0x01, 0x00, 0x00]);
  await expect(expand(frame)).rejects.toMatchObject({
    code: "LAYER_COMPRESSION_UNSUPPORTED",
    details: { dictionary: 7 },
  });
});

test("a failing source is told as it failed, not as damage", async () => {
  const failing = async function* (): AsyncGenerator<Buffer> {
    yield await Promise.resolve(frameWithWindow(0).subarray(0, 7));
    throw Object.assign(new Error("gone"), { code: "ECONNRESET" });
  };
  const { content } = await decompress(failing());
  await expect(buffer(content)).rejects.toMatchObject({ code: "ECONNRESET" });
});

describe.runIf(makesZstd)("compressZstd", () => {
  test.for([0, 1, 3, 19, 22])(
    "level %i is read again, and gives the same bytes again",
    async (level) => {
      const once = await buffer(compressZstd(Readable.from([sample, text]), level));
      expect((await expand(once)).equals(Buffer.concat([sample, text]))).toBe(true);
      expect((await buffer(compressZstd(Readable.from([sample, text]), level))).equals(once)).toBe(
        true,
      );
    },
  );

  test("a failing source fails the stream", async () => {
    const failing = async function* (): AsyncGenerator<Buffer> {
      yield await Promise.resolve(sample);
      throw Object.assign(new Error("gone"), { code: "EIO" });
    };
    await expect(buffer(compressZstd(failing(), 3))).rejects.toMatchObject({ code: "EIO" });
  });
});

test("without an encoder the error says what to install", async (ctx) => {
  if ("zstd" in process.versions) return ctx.skip("this Node has an encoder of its own");
  vi.stubEnv("PATH", "/nonexistent");
  await expect(buffer(compressZstd(Readable.from([text]), 3))).rejects.toMatchObject({
    code: "LAYER_COMPRESSION_UNSUPPORTED",
  });
});
