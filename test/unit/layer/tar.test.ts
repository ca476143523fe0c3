import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { digestOf } from "../../../src/core/index.ts";
import {
  type LayerEntryWithContent,
  openLayer,
  readLayerTar,
  rootPathToString,
  writeLayerTar,
} from "../../../src/layer/index.ts";
import {
  deviceEntry,
  directoryEntry,
  fifoEntry,
  fileEntry,
  hardlinkEntry,
  symlinkEntry,
} from "../../support/layer-entries.ts";

const folder = mkdtempSync(join(tmpdir(), "tsbuild-tar-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const sampleTime = 1_700_000_000_000_000_000n;

const samples: Record<string, LayerEntryWithContent> = {
  "a file": fileEntry("dir/file", "hello"),
  "an empty file": fileEntry("empty"),
  "a file of exactly one block": fileEntry("block", Buffer.alloc(512, 1)),
  "a file over a megabyte": fileEntry("large", Buffer.alloc(3_000_001, "xyz")),
  "a directory": directoryEntry("dir", { mode: 0o2775, uid: 12, gid: 34, mtime: sampleTime }),
  "the root": directoryEntry("", { mode: 0o700 }),
  "a symlink, target verbatim": symlinkEntry("link", "../..//weird/./target/"),
  "a symlink with a long target": symlinkEntry("link", "t/".repeat(300)),
  "a hard link": hardlinkEntry("second", "dir/file"),
  "a device": deviceEntry("dev/sda", { devMajor: 8, devMinor: 1_048_575 }, "block-device"),
  "a whiteout device": deviceEntry("gone", { devMajor: 0, devMinor: 0 }),
  "a fifo": fifoEntry("pipe", { mode: 0o4711 }),
  "a name of 100 bytes": fileEntry("n".repeat(100)),
  "a name that fits in two parts": fileEntry(`${"p".repeat(150)}/${"n".repeat(100)}`),
  "a name that does not fit": fileEntry(`${"p".repeat(200)}/${"n".repeat(200)}`, "x"),
  "a directory name of 100 bytes and its slash": directoryEntry("d".repeat(100)),
  "a name that is not UTF-8": fileEntry(Buffer.from([0x61, 0xff, 0xfe, 0x62])),
  "a long name that is not UTF-8": fileEntry(Buffer.alloc(300, 0xe9)),
  "an umlaut": fileEntry("größe/日本", "x"),
  "owners over 262143": fileEntry("f", "", { uid: 300_000, gid: 262_144 }),
  "owners over 2097151": fileEntry("f", "", { uid: 4_294_967_294, gid: 2_097_152 }),
  "a time with nanoseconds": fileEntry("f", "", { mtime: sampleTime + 123_456_789n }),
  "a time before the epoch": fileEntry("f", "", { mtime: -1_500_000_000n }),
  "a time in the far future": fileEntry("f", "", { mtime: 10_000_000_000n * 1_000_000_000n }),
  "xattrs with binary values": fileEntry("f", "", {
    xattrs: new Map([
      ["security.capability", Buffer.from("0100000200040000000000000000000000000000", "hex")],
      ["user.100%=odd", Buffer.from("a\nb=c\0")],
      ["user.empty", Buffer.alloc(0)],
      ["user.50%", Buffer.from("plain")],
      ["user.%3D", Buffer.from("looks escaped")],
    ]),
  }),
  "xattrs whose names are not UTF-8": fileEntry("f", "", {
    xattrs: new Map([
      ["user.\udcfe=", Buffer.from("one")],
      ["user.\udcff", Buffer.from("another")],
      ["user.größe\n😀", Buffer.from("text")],
    ]),
  }),
};

/** Everything but the ways to read, with the content in their place. */
async function collect(entries: AsyncIterable<LayerEntryWithContent>) {
  const found = [];
  for await (const { open, read, ...entry } of entries) {
    const content = read?.() ?? (open === undefined ? undefined : await buffer(open()));
    found.push(content === undefined ? entry : { ...entry, digest: digestOf(content) });
  }
  return found;
}

async function collectSamples(entries: readonly LayerEntryWithContent[]) {
  return collect(Readable.from(entries) as AsyncIterable<LayerEntryWithContent>);
}

const archive = async (entries: readonly LayerEntryWithContent[]): Promise<Buffer> =>
  buffer(writeLayerTar(entries));

describe("writing and reading", () => {
  test.each(Object.entries(samples))("%s comes back", async (_name, sample) => {
    const bytes = await archive([sample, fileEntry("next", "tail")]);
    expect(bytes.length % 512).toBe(0);
    const expected = await collectSamples([sample, fileEntry("next", "tail")]);
    expect(await collect(readLayerTar(Readable.from([bytes])))).toEqual(expected);
  });

  test("in chunks of any size", async () => {
    const entries = Object.values(samples).filter(({ size }) => size < 10_000);
    const bytes = await archive(entries);
    const expected = await collectSamples(entries);
    for (const size of [1, 7, 511, 513, 4096]) {
      const chunks = function* (): Generator<Buffer> {
        for (let start = 0; start < bytes.length; start += size)
          yield bytes.subarray(start, start + size);
      };
      expect(await collect(readLayerTar(Readable.from(chunks())))).toEqual(expected);
    }
  });

  test("content that nobody reads, or reads in part, is skipped", async () => {
    const large = Buffer.alloc(5_000_000, "z");
    const bytes = await archive([
      fileEntry("a", large),
      fileEntry("b", large),
      fileEntry("c", "c"),
    ]);
    const seen: string[] = [];
    for await (const entry of readLayerTar(Readable.from([bytes]))) {
      seen.push(entry.path.toString());
      if (seen.length === 2) {
        const content = entry.open?.();
        content?.once("data", () => content.destroy());
        await new Promise((resolve) => content?.once("close", resolve));
      }
    }
    expect(seen).toEqual(["a", "b", "c"]);
  });

  test("equal entries give equal bytes; plain ones have no PAX header", async () => {
    const entries = [directoryEntry("d"), fileEntry("d/f", "x", { mtime: sampleTime })];
    const bytes = await archive(entries);
    expect(await archive(entries)).toEqual(bytes);
    expect(bytes.length).toBe(512 + 512 + 512 + 1024);
    expect(digestOf(bytes)).toMatchInlineSnapshot(
      `"sha256:5dc1c8b2b6ccec3bd44e93817a85baa3ec33b99f7dac247668e691f382d73544"`,
    );
  });

  test.each([
    ["shorter", 6],
    ["longer", 4],
  ])("content %s than announced is refused", async (_name, size) => {
    const content = (): Readable => Readable.from([Buffer.from("12345")]);
    const { read: _read, ...entry } = fileEntry("f", "12345");
    await expect(archive([{ ...entry, size, open: content }])).rejects.toMatchObject({
      code: "LAYER_SIZE_MISMATCH",
      details: { entry: "f" },
    });
  });
});

describe("with GNU tar", () => {
  test("our archives list there with all fields", async () => {
    const bytes = await archive([
      directoryEntry("d", { mtime: sampleTime, mode: 0o1777 }),
      fileEntry(`d/${"n".repeat(200)}`, "12345", { uid: 3_000_000, gid: 5 }),
      symlinkEntry("d/link", "../target"),
      hardlinkEntry("d/hard", `d/${"n".repeat(200)}`),
      deviceEntry("d/null", { devMajor: 1, devMinor: 3 }),
      fifoEntry("d/fifo"),
    ]);
    const listing = execFileSync("tar", ["--utc", "--full-time", "--numeric-owner", "-tvf", "-"], {
      input: bytes,
      encoding: "utf8",
    });
    expect(listing.replace(/ +/g, " ").split("\n")).toEqual([
      "drwxrwxrwt 0/0 0 2023-11-14 22:13:20 d/",
      `-rw-r--r-- 3000000/5 5 1970-01-01 00:00:00 d/${"n".repeat(200)}`,
      "lrwxrwxrwx 0/0 0 1970-01-01 00:00:00 d/link -> ../target",
      `hrw-r--r-- 0/0 0 1970-01-01 00:00:00 d/hard link to d/${"n".repeat(200)}`,
      "crw-r--r-- 0/0 1,3 1970-01-01 00:00:00 d/null",
      "prw-r--r-- 0/0 0 1970-01-01 00:00:00 d/fifo",
      "",
    ]);
  });

  test.each(["v7", "oldgnu", "gnu", "ustar", "posix"])(
    "its %s archives are read",
    async (format) => {
      const tree = join(folder, `tree-${format}`);
      const long = format === "v7" || format === "ustar" ? "short" : `${"l".repeat(120)}`;
      await mkdir(join(tree, long), { recursive: true });
      await writeFile(join(tree, long, "file"), "hello", { mode: 0o640 });
      await writeFile(join(tree, "großartig"), Buffer.alloc(2_000_000, "q"));
      await symlink(long, join(tree, "link"));
      for (const name of [`${long}/file`, "großartig", long])
        await utimes(join(tree, name), 1_600_000_000, 1_600_000_000);
      const bytes = execFileSync(
        "tar",
        [
          "-C",
          tree,
          "--sort=name",
          `--format=${format}`,
          "--owner=70000",
          "--group=80000",
          "-c",
          ".",
        ],
        { maxBuffer: 1 << 26 },
      );
      const entries = await collect(readLayerTar(Readable.from([bytes])));
      const found = entries.map((entry) => ({
        path: rootPathToString(entry.path),
        type: entry.type,
        uid: entry.uid,
        size: entry.size,
        digest: "digest" in entry ? entry.digest : undefined,
      }));
      const none = { uid: 70_000, size: 0, digest: undefined };
      expect(found).toEqual(
        [
          { path: "", type: "directory", ...none },
          {
            path: "großartig",
            type: "file",
            uid: 70_000,
            size: 2_000_000,
            digest: digestOf(Buffer.alloc(2_000_000, "q")),
          },
          { path: "link", type: "symlink", ...none },
          { path: long, type: "directory", ...none },
          { path: `${long}/file`, type: "file", uid: 70_000, size: 5, digest: digestOf("hello") },
        ].sort((a, b) => (a.path < b.path ? -1 : 1)),
      );
      expect(entries.find(({ path }) => path.toString().endsWith("/file"))?.mtime).toBe(
        1_600_000_000_000_000_000n,
      );
    },
  );
});

describe("hostile and broken archives", () => {
  test.each(["../x", "a/../../x", "..", "/../etc/passwd"])("name %j escapes", async (path) => {
    const bytes = await archive([fileEntry(path, "x")]);
    await expect(collect(readLayerTar(Readable.from([bytes])))).rejects.toMatchObject({
      code: "LAYER_PATH_ESCAPES",
      details: { entry: path },
    });
  });

  test("a hard link out of the root escapes", async () => {
    const bytes = await archive([hardlinkEntry("inside", "../../etc/shadow")]);
    await expect(collect(readLayerTar(Readable.from([bytes])))).rejects.toMatchObject({
      code: "LAYER_PATH_ESCAPES",
      details: { entry: "inside", path: "../../etc/shadow" },
    });
  });

  test("absolute names are taken from the root", async () => {
    const bytes = await archive([fileEntry("/etc//./passwd"), hardlinkEntry("b", "/etc/passwd")]);
    const [file, link] = await collect(readLayerTar(Readable.from([bytes])));
    expect(file?.path.toString()).toBe("etc/passwd");
    expect(link?.linkTarget?.toString()).toBe("etc/passwd");
  });

  test("an archive cut anywhere inside an entry is truncated, and names it", async () => {
    const bytes = await archive([fileEntry("first", "x"), fileEntry("second", "y".repeat(600))]);
    for (const length of [100, 512, 1023, 1025, 1536, 2000, 2559]) {
      const cut = Readable.from([bytes.subarray(0, length)]);
      const error = await collect(readLayerTar(cut)).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "LAYER_TRUNCATED" });
      if (length > 1536) expect(error).toMatchObject({ details: { entry: "second" } });
    }
  });

  test("an empty archive has no entries, with or without end mark", async () => {
    expect(await collect(readLayerTar(Readable.from([])))).toEqual([]);
    expect(await collect(readLayerTar(Readable.from([Buffer.alloc(512)])))).toEqual([]);
    expect(await collect(readLayerTar(Readable.from([Buffer.alloc(10_240)])))).toEqual([]);
  });

  test("a flipped bit in a header is found", async () => {
    const bytes = await archive([fileEntry("name", "x")]);
    bytes.writeUInt8((bytes[3] ?? 0) ^ 1, 3);
    await expect(collect(readLayerTar(Readable.from([bytes])))).rejects.toMatchObject({
      code: "LAYER_HEADER_INVALID",
    });
  });

  test("an extension header of gigabytes is not read into memory", async () => {
    const header = (await archive([fileEntry("f", "x", { mtime: 1n })])).subarray(0, 512);
    header.write("77777777777", 124, "latin1");
    header.fill(0x20, 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    await expect(collect(readLayerTar(Readable.from([header])))).rejects.toMatchObject({
      code: "LAYER_LIMIT_EXCEEDED",
    });
  });

  test("too many entries end the reading", async () => {
    const bytes = await archive([fileEntry("a"), fileEntry("b"), fileEntry("c")]);
    const reading = collect(readLayerTar(Readable.from([bytes]), { maxEntries: 2 }));
    await expect(reading).rejects.toMatchObject({ code: "LAYER_LIMIT_EXCEEDED" });
  });

  test("stopping early destroys the input", async () => {
    const input = Readable.from([await archive([fileEntry("a"), fileEntry("b")])]);
    for await (const entry of readLayerTar(input)) if (entry.size === 0) break;
    expect(input.destroyed).toBe(true);
  });
});

describe("openLayer", () => {
  test("hashes the plain tar, whatever follows its end mark", async () => {
    const tar = Buffer.concat([await archive([fileEntry("a", "x")]), Buffer.alloc(5000)]);
    for (const blob of [tar, gzipSync(tar)]) {
      const layer = await openLayer(Readable.from([blob]));
      expect((await collect(layer.entries)).length).toBe(1);
      expect(await layer.finish()).toEqual({ diffId: digestOf(tar), tarSize: tar.length });
    }
  });
});
