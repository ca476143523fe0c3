import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, test, vi } from "vitest";
import { digestOf } from "../../../src/core/index.ts";
import { compressGzip, decompress, detectCompression } from "../../../src/layer/index.ts";
import { divideContent } from "../../../src/layer/incompressible.ts";
import { pseudoRandomBytes } from "../../support/random.ts";

const plain = Buffer.from("some text, again and again. ".repeat(200_000));

async function expand(bytes: Buffer, chunk = 1000): Promise<Buffer> {
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, index) =>
    bytes.subarray(index * chunk, (index + 1) * chunk),
  );
  return buffer((await decompress(Readable.from(chunks))).content);
}

const [one, two, none] = [gzipSync("one, "), gzipSync("two"), gzipSync("")];
const both = gzipSync("one, two");
const flags = { text: 1, headerChecksum: 2, extra: 4, name: 8, comment: 16, reserved: 32 };

/** A gzip member of `both` whose header says that these fields follow it. */
function withFields(flag: number, ...fields: readonly string[]): Buffer {
  const header = Buffer.from([0x1f, 0x8b, 8, flag, 0, 0, 0, 0, 0, 3]);
  return Buffer.concat([header, Buffer.from(fields.join(""), "latin1"), both.subarray(10)]);
}

/** What is read as "one, two", or fails. */
const oddGzip: readonly {
  readonly name: string;
  readonly parts: readonly Buffer[];
  readonly code?: string;
}[] = [
  { name: "of two members", parts: [one, two] },
  { name: "with empty members", parts: [none, one, none, none, two, none] },
  { name: "with a file name", parts: [withFields(flags.name, "layer.tar\0")] },
  {
    name: "with every field",
    parts: [
      withFields(
        flags.text | flags.extra | flags.name | flags.comment,
        ..."\x06\0AB\x02\0xy layer.tar\0 a comment\0".split(" "),
      ),
    ],
  },
  { name: "with zeros behind it", parts: [both, Buffer.alloc(40)] },
  { name: "with many zeros behind it", parts: [both, Buffer.alloc(3_000_000)] },
  {
    name: "with a field that nobody knows",
    parts: [withFields(flags.reserved)],
    code: "LAYER_COMPRESSION_BROKEN",
  },
  {
    name: "with something else behind it",
    parts: [both, Buffer.from("something else")],
    code: "LAYER_COMPRESSION_BROKEN",
  },
  {
    name: "with the beginning of a member behind it",
    parts: [both, two.subarray(0, 12)],
    code: "LAYER_TRUNCATED",
  },
  {
    name: "with two bytes of a member behind it",
    parts: [both, two.subarray(0, 2)],
    code: "LAYER_TRUNCATED",
  },
  {
    name: "of another length than it says",
    parts: [Buffer.concat([both.subarray(0, -4), Buffer.from([9, 0, 0, 0])])],
    code: "LAYER_COMPRESSION_BROKEN",
  },
];

/** Small: these programs are slow. */
const sample = plain.subarray(0, 600_000);

function compressBy(program: string): Buffer | undefined {
  try {
    return execFileSync(program, ["-c"], { input: sample, maxBuffer: 1 << 26 });
  } catch {
    return undefined;
  }
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("decompress", () => {
  test("passes plain bytes, also very few", async () => {
    for (const bytes of [plain, Buffer.from("abc"), Buffer.alloc(0)])
      expect((await expand(bytes)).equals(bytes)).toBe(true);
  });

  test("reads gzip of one and of many members", async () => {
    const [head, tail] = [plain.subarray(0, 10), plain.subarray(10)];
    expect((await expand(gzipSync(plain))).equals(plain)).toBe(true);
    expect((await expand(Buffer.concat([gzipSync(head), gzipSync(tail)]), 3)).equals(plain)).toBe(
      true,
    );
  });

  test.each(oddGzip)("gzip $name", async ({ parts, code }) => {
    const bytes = Buffer.concat(parts);
    // However the bytes arrive: whole, by their parts, one by one.
    const single = bytes.length < 1000 ? Array.from(bytes, (byte) => Buffer.from([byte])) : parts;
    for (const chunks of [[bytes], parts, single]) {
      const { content } = await decompress(Readable.from(chunks));
      if (code === undefined) expect((await buffer(content)).toString()).toBe("one, two");
      else await expect(buffer(content)).rejects.toMatchObject({ code });
    }
  });

  test("a cut stream is truncated, a changed one broken", async () => {
    const bytes = gzipSync(plain);
    await expect(expand(bytes.subarray(0, -20))).rejects.toMatchObject({ code: "LAYER_TRUNCATED" });
    bytes.writeUInt8((bytes.at(-5) ?? 0) ^ 0xff, bytes.length - 5);
    await expect(expand(bytes)).rejects.toMatchObject({ code: "LAYER_COMPRESSION_BROKEN" });
  });

  test("a bomb ends at the limit", async () => {
    const { content } = await decompress(Readable.from([gzipSync(plain)]), { maxBytes: 100_000 });
    await expect(buffer(content)).rejects.toMatchObject({ code: "LAYER_LIMIT_EXCEEDED" });
  });

  test.for(["bzip2", "xz", "zstd"])("%s is read through its program", async (program, ctx) => {
    const bytes = compressBy(program);
    if (bytes === undefined) return ctx.skip(`there is no ${program}`);
    const { compression, content } = await decompress(Readable.from([bytes]));
    expect(compression).toBe(program);
    expect((await buffer(content)).equals(sample)).toBe(true);
    const damaged = Buffer.from(bytes);
    damaged.fill(0x55, bytes.length / 2);
    await expect(expand(damaged)).rejects.toMatchObject({ code: "LAYER_COMPRESSION_BROKEN" });
  });

  test("what cannot be read is named", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    const input = Readable.from([Buffer.from("BZh91AY&SY")]);
    await expect(decompress(input)).rejects.toMatchObject({
      code: "LAYER_COMPRESSION_UNSUPPORTED",
      details: { compression: "bzip2" },
    });
    expect(input.destroyed).toBe(true);
  });

  test("stopping early stops the program", async (ctx) => {
    const bytes = compressBy("xz");
    if (bytes === undefined) return ctx.skip("there is no xz");
    const { content } = await decompress(Readable.from([bytes]));
    for await (const chunk of content as AsyncIterable<Buffer>) if (chunk.length > 0) break;
    expect(content.destroyed).toBe(true);
  });

  test("a failing input fails the content", async () => {
    const failing = async function* (): AsyncGenerator<Buffer> {
      yield gzipSync(plain).subarray(0, 1000);
      throw new Error("connection lost");
    };
    const { content } = await decompress(failing());
    await expect(buffer(content)).rejects.toThrow("connection lost");
  });

  test("destroying the content destroys the input", async () => {
    const input = Readable.from([gzipSync(plain), gzipSync(plain)]);
    const { content } = await decompress(input);
    content.destroy();
    await new Promise((resolve) => input.once("close", resolve));
    expect(input.destroyed).toBe(true);
  });

  test.each([
    ["gzip", "1f8b0800"],
    ["zstd", "28b52ffd"],
    ["zstd", "502a4d18"],
    ["xz", "fd377a585a00"],
    ["none", "1f8c"],
    ["none", ""],
  ])("%s begins with %s", (compression, hex) => {
    expect(detectCompression(Buffer.from(hex, "hex"))).toBe(compression);
  });
});

describe("compressGzip", () => {
  test.each([0, 1, 1024 * 1024, 1024 * 1024 + 1, plain.length])(
    "%i bytes come back, through gzip too",
    async (size) => {
      const bytes = plain.subarray(0, size);
      const compressed = await buffer(compressGzip(Readable.from([bytes]), { level: 6 }));
      expect(gunzipSync(compressed).equals(bytes)).toBe(true);
      const judged = execFileSync("gzip", ["-dc"], { input: compressed, maxBuffer: 1 << 26 });
      expect(judged.equals(bytes)).toBe(true);
    },
  );

  test("the bytes do not depend on how the input arrives", async () => {
    const chunked = Readable.from(
      Array.from({ length: 100 }, (_, index) =>
        plain.subarray((index * plain.length) / 100, ((index + 1) * plain.length) / 100),
      ),
    );
    const once = await buffer(compressGzip(Readable.from([plain]), { level: 6 }));
    expect(digestOf(await buffer(compressGzip(chunked, { level: 6 })))).toBe(digestOf(once));
    expect(once.length).toBeLessThan(gzipSync(plain, { level: 6 }).length * 1.1);
  });

  test("short results hold little memory while they wait", async () => {
    const zeros = Readable.from([Buffer.alloc(4 * 1024 * 1024)], { objectMode: false });
    for await (const chunk of compressGzip(zeros, { level: 2 })) {
      const { length, buffer: held } = chunk as Buffer;
      expect(held.byteLength).toBeLessThanOrEqual(Math.max(2 * length, 64 * 1024));
    }
  });

  test("a failing input fails the output", async () => {
    const failing = async function* (): AsyncGenerator<Buffer> {
      yield plain;
      throw new Error("disk gone");
    };
    await expect(buffer(compressGzip(failing(), { level: 1 }))).rejects.toThrow("disk gone");
  });
});

describe("what does not compress", () => {
  // Always the same bytes: now and then some others look to the sample as if they had a pattern.
  const random = pseudoRandomBytes(3 * 1024 * 1024);
  const judge = (input: Buffer): Buffer =>
    execFileSync("gzip", ["-dc"], { input, maxBuffer: 1 << 26 });

  test.each([
    ["nothing else", [random]],
    ["between text", [plain.subarray(0, 300_001), random.subarray(0, 700_003), plain]],
    ["over the ends of blocks", [plain.subarray(0, 1_000_000), random, plain.subarray(0, 5)]],
    [
      "in pieces",
      Array.from({ length: 300 }, (_, n) =>
        (n % 3 === 0 ? random : plain).subarray(n * 100, n * 100 + 9000),
      ),
    ],
    ["to the end of a block", [random.subarray(0, 1024 * 1024)]],
  ])("is stored: %s", async (_, parts) => {
    const bytes = Buffer.concat(parts);
    const compressed = await buffer(compressGzip(Readable.from([bytes]), { level: 2 }));
    expect(gunzipSync(compressed).equals(bytes)).toBe(true);
    expect(judge(compressed).equals(bytes)).toBe(true);
    const stored = parts.filter((part) => part.buffer === random.buffer);
    const most = Buffer.concat(stored).length + bytes.length / 2;
    expect(compressed.length).toBeLessThan(most);
  });

  test("is told from what does", () => {
    const text = Buffer.from("All work and no play makes a tar a dull layer. ".repeat(2000));
    expect(divideContent(text)).toEqual([{ start: 0, end: text.length, isStored: false }]);
    expect(divideContent(Buffer.alloc(0))).toEqual([]);
    const base64 = Buffer.from(random.toString("base64"));
    expect(divideContent(base64).some(({ isStored }) => isStored)).toBe(false);
    const mixed = Buffer.concat([text.subarray(0, 8192), random.subarray(0, 65_536), text]);
    expect(divideContent(mixed)).toEqual([
      { start: 0, end: 8192, isStored: false },
      { start: 8192, end: 73_728, isStored: true },
      { start: 73_728, end: mixed.length, isStored: false },
    ]);
  });

  test("programs of this machine are compressed, and archives are not", () => {
    const storedPart = (bytes: Buffer): number =>
      divideContent(bytes)
        .filter(({ isStored }) => isStored)
        .reduce((sum, { start, end }) => sum + end - start, 0) / bytes.length;
    const node = readFileSync(process.execPath).subarray(0, 32 << 20);
    expect(storedPart(node)).toBeLessThan(0.05);
    expect(storedPart(gzipSync(node.subarray(0, 4 << 20)))).toBeGreaterThan(0.9);
  });
});
