import { execFileSync } from "node:child_process";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { digestOf } from "../../../src/core/index.ts";
import { longestInput, longestOutput, windowLength } from "../../../src/layer/deflate/encoder.ts";
import { compressGzip } from "../../../src/layer/index.ts";
import { pseudoRandom } from "../../support/random.ts";

const random = randomBytes(2 * longestInput + 1000, 1);
const text = wordyText(longestInput + 300_000, 2);

function randomBytes(size: number, seed: number): Buffer {
  const next = pseudoRandom(seed);
  return Buffer.from(Uint8Array.from({ length: size }, () => 256 * next()));
}

function wordyText(size: number, seed: number): Buffer {
  const next = pseudoRandom(seed);
  const letter = (): string => String.fromCharCode(97 + 26 * next());
  const words = Array.from({ length: 900 }, () =>
    Array.from({ length: 2 + 8 * next() }, letter).join(""),
  );
  const chosen = Array.from({ length: size / 4 }, () => words[Math.floor(900 * next() ** 2)] ?? "");
  return Buffer.from(chosen.join(" ")).subarray(0, size);
}

/** Bytes that occur as often as the numbers of Fibonacci, in no order: their code would be too long. */
function unevenBytes(): Buffer {
  const counts = [1, 1];
  while (counts.length < 22) counts.push((counts.at(-1) ?? 0) + (counts.at(-2) ?? 0));
  const next = pseudoRandom(3);
  return Buffer.from(
    counts
      .flatMap((count, value) => Array.from({ length: count }, () => ({ value, at: next() })))
      .sort((one, other) => one.at - other.at)
      .map(({ value }) => value),
  );
}

/** Two copies of some bytes so far from each other, with nothing like them between. */
function atDistance(distance: number): Buffer {
  const [copied, between] = [random.subarray(0, 500), Buffer.alloc(distance - 500)];
  return Buffer.concat([copied, between, copied]);
}

const compress = async (bytes: Buffer): Promise<Buffer> =>
  buffer(compressGzip(Readable.from([bytes]), {}));
/** GNU gzip, which has a decoder of its own. */
const gunzip = (input: Buffer): Buffer =>
  execFileSync("gzip", ["-dc"], { input, maxBuffer: 1 << 26 });

/** Whatever lies at the edge of a block, a match, a window or a call. */
const edges: readonly (readonly [string, Buffer])[] = [
  ...[0, 1, 2, 3, 4, 5, 8, 9, 12, 13].map(
    (size) => [`${String(size)} bytes`, text.subarray(0, size)] as const,
  ),
  ...[65_534, 65_535, 65_536, 65_537].map(
    (size) => [`${String(size)} bytes of text`, text.subarray(0, size)] as const,
  ),
  ...[65_534, 65_535, 65_536, 131_070, 131_071].map(
    (size) => [`${String(size)} random bytes`, random.subarray(0, size)] as const,
  ),
  ...[-1, 0, 1, windowLength].map(
    (more) => [`1 MiB and ${String(more)} of text`, text.subarray(0, longestInput + more)] as const,
  ),
  ["2 MiB and more of random bytes", random],
  ...[257, 258, 259, 260, 516, 70_000].map(
    (size) => [`one byte ${String(size)} times`, Buffer.alloc(size, "a")] as const,
  ),
  ["two bytes in turns", Buffer.alloc(3_000_001, "ab")],
  ["zeros over the end of a call", Buffer.alloc(2 * longestInput + 1)],
  ["a code that would be too long", unevenBytes()],
  ["all bytes once", Buffer.from(Array.from({ length: 256 }, (_, value) => value))],
  ...[500, 32_767, 32_768, 32_769, 65_536, 98_304].map(
    (distance) => [`copies ${String(distance)} bytes apart`, atDistance(distance)] as const,
  ),
  [
    "text and random bytes in turns",
    Buffer.concat(
      Array.from({ length: 120 }, (_, n) =>
        (n % 2 ? random : text).subarray(n * 997, n * 997 + n * 61),
      ),
    ),
  ],
  ["copies on both sides of a call's end", Buffer.concat([text, text.subarray(-40_000), text])],
];

describe("our own encoder", () => {
  test.each(edges)("%s", async (_, bytes) => {
    const compressed = await compress(bytes);
    expect(gunzipSync(compressed).equals(bytes)).toBe(true);
    expect(gunzip(compressed).equals(bytes)).toBe(true);
    // Two blocks a KiB at worst, which is rare, and the frame.
    const calls = Math.ceil(bytes.length / longestInput);
    expect(compressed.length).toBeLessThan(bytes.length * 1.002 + 30 + 20 * calls);
  });

  test("gives the same bytes on every machine and in every version of Node", async () => {
    const digests = await Promise.all([text, random, unevenBytes()].map(compress));
    expect(digests.map(digestOf)).toMatchInlineSnapshot(`
      [
        "sha256:e353af2e2c52e5374c47a197f26ec9d9e96d2b1103b6672588302bb7371d2122",
        "sha256:f2ce948e3526bcd9311a8c625b97a83e7cec6994c6b8aa1554159b5d9866114f",
        "sha256:8f943169d9e40d58a10a2369dfb645d0b4234f66294a93cee17bc4fa3d5bcd78",
      ]
    `);
  });

  test("forgets what it did before", async () => {
    const once = await compress(text);
    await compress(random);
    await compress(Buffer.alloc(longestInput, "ab"));
    expect((await compress(text)).equals(once)).toBe(true);
  });

  test.each([
    ["text", text],
    ["text beside random bytes", Buffer.concat([text.subarray(0, 400_000), random, text])],
    ["zeros", Buffer.alloc(5_000_000)],
  ])("is about as good as zlib's quickest: %s", async (_, bytes) => {
    expect((await compress(bytes)).length).toBeLessThan(
      gzipSync(bytes, { level: 1 }).length * 1.03,
    );
  });

  class NoRoom {
    constructor() {
      throw new RangeError("WebAssembly.Instance(): Out of memory");
    }
  }

  test.each([
    ["Node runs no WebAssembly", undefined],
    ["there is no room for its memory", { Module: Object, Instance: NoRoom }],
  ])("zlib does it where %s", async (_, api) => {
    vi.stubGlobal("WebAssembly", api);
    onTestFinished(() => {
      vi.unstubAllGlobals();
    });
    // An encoder that is loaded already would stay.
    vi.resetModules();
    const fresh = await import("../../../src/layer/gzip.ts");
    const compressed = await buffer(fresh.compressGzip(Readable.from([text]), {}));
    const byZlib = await buffer(compressGzip(Readable.from([text]), { level: 2 }));
    expect(compressed.equals(byZlib)).toBe(true);
  });

  test("output has its place, whatever comes in", async () => {
    // Three equal bytes in each KiB: as many blocks as there can be.
    const worst = Buffer.from(random.subarray(0, longestInput));
    for (let at = 1100; at < worst.length; at += 1100) worst.copyWithin(at, at - 900, at - 890);
    const compressed = await compress(worst);
    expect(gunzipSync(compressed).equals(worst)).toBe(true);
    expect(compressed.length).toBeLessThan(longestOutput);
  });
});
