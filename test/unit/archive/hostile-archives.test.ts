import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { raw } from "../../../fixtures/hostile/index.ts";
import {
  openArchiveSource,
  openLayoutSink,
  type ArchiveSource,
} from "../../../src/archive/index.ts";
import { digestHex, digestOf, mediaTypes, type Digest } from "../../../src/core/index.ts";
import { copyGraph, selectManifest, type Descriptor } from "../../../src/image/index.ts";
import { makeCanary } from "../../support/canary.ts";
import { expectCode } from "../../support/expect-code.ts";
import { MemoryPlace } from "../../support/memory-place.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const { base256, directory, file, gnuLong, hardlink, header, pax, symlink, tar } = raw;

async function openBytes(bytes: Buffer): Promise<ArchiveSource> {
  const tmpDir = await temporaryFolder();
  const source = await openArchiveSource({ input: Readable.from([bytes]), tmpDir });
  onTestFinished(async () => source.close());
  return source;
}

/** All that `load` does with the first image, but for the store. */
async function load(bytes: Buffer): Promise<void> {
  const source = await openBytes(bytes);
  const [image] = source.images;
  if (image === undefined) throw new Error("the archive has no images");
  await copyGraph({ source, sink: new MemoryPlace(), root: image.descriptor });
}

function json(name: string, value: unknown): Buffer {
  return file(name, JSON.stringify(value));
}

const config = JSON.stringify({
  architecture: "amd64",
  os: "linux",
  rootfs: { type: "layers", diff_ids: [digestOf(Buffer.from("layer"))] },
});

describe("an outer archive", () => {
  test.each([
    ["a size below zero in PAX", [pax([["size", "-1536"]]), file("f")]],
    ["a size below zero in base 256", [header({ name: "f", size: base256(-512n, 12) })]],
    ["a size in hexadecimal", [pax([["size", "0x200"]]), file("f")]],
    ["a size that is no number", [header({ name: "f", size: Buffer.from("x") })]],
  ])("with %s is refused, and not read for ever", async (_name, parts) => {
    await expect(openBytes(tar(...parts))).rejects.toMatchObject({
      code: expect.stringMatching(/^ARCHIVE_(?:INVALID|TRUNCATED)$/) as string,
    });
  });

  test.each([
    ["a size of exbibytes", [header({ name: "f", size: base256(2n ** 62n, 12) })]],
    ["a size over 2^63", [pax([["size", String(2n ** 63n)]]), file("f")]],
    ["a name of a gibibyte", [header({ name: "l", type: "L", size: 2 ** 30 }), file("f")]],
    ["a PAX header of gibibytes", [header({ name: "x", type: "x", size: 2 ** 32 }), file("f")]],
  ])("that announces %s is refused", async (_name, parts) => {
    await expectCode(openBytes(tar(...parts)), "ARCHIVE_TRUNCATED");
  });

  test("says the size of a header's own records in that header alone", async () => {
    // A PAX size for the long name that follows would move everything behind it.
    const parts = [pax([["size", "1"]]), gnuLong("L", "index.json"), file("short")];
    await expectCode(openBytes(tar(...parts, json("manifest.json", []))), "IMAGE_INVALID");
  });

  test("whose table points outside finds nothing there", async () => {
    const canary = makeCanary(join(await temporaryFolder(), "outside"));
    for (const path of [
      `${canary.directory}/secret`,
      `${"../".repeat(20)}${canary.directory.slice(1)}/secret`,
    ]) {
      const table = (entry: object): Buffer => json("manifest.json", [entry]);
      await expectCode(load(tar(table({ Config: path, Layers: [] }))), "ARCHIVE_BLOB_NOT_FOUND");
      const layers = tar(file("c.json", config), table({ Config: "c.json", Layers: [path] }));
      await expectCode(load(layers), "ARCHIVE_BLOB_NOT_FOUND");
      for (const member of [symlink("l", path), hardlink("l", path), symlink("l", "l")]) {
        const linked = tar(
          file("c.json", config),
          member,
          table({ Config: "c.json", Layers: ["l"] }),
        );
        await expectCode(load(linked), "ARCHIVE_BLOB_NOT_FOUND");
      }
    }
    canary.expectUntouched();
  });

  test("with members twice is read as its last ones say, and its digests still hold", async () => {
    const table = json("manifest.json", [{ Config: "c.json", Layers: ["layer"] }]);
    const good = file("layer", "layer");
    await load(tar(file("layer", "other"), file("c.json", config), table, good));
    const bad = tar(good, file("c.json", config), table, file("layer", "other"));
    await expectCode(load(bad), "DIGEST_MISMATCH");
  });

  test("whose members are of the wrong kind lacks them", async () => {
    const members = [directory("index.json"), symlink("manifest.json", "index.json")];
    await expectCode(openBytes(tar(...members)), "ARCHIVE_KIND_UNKNOWN");
  });

  test.each([
    ["nothing", ""],
    ["a number", "1"],
    ["a list", "[]"],
    ["no list of manifests", '{"schemaVersion":2,"manifests":{}}'],
    ["a digest that climbs", index([{ digest: "sha256:../../../../etc/passwd" }])],
    ["a size below zero", index([{ digest: digestOf(""), size: -1 }])],
    ["a size of exbibytes as a float", index([{ digest: digestOf(""), size: 1e300 }])],
    ["lists a million levels deep", "[".repeat(1_000_000)],
    ["prototypes", '{"schemaVersion":2,"__proto__":{"manifests":[]},"manifests":"x"}'],
  ])("whose index.json holds %s is refused", async (_name, text) => {
    await expectCode(openBytes(tar(file("index.json", text))), "IMAGE_INVALID");
  });

  test("whose manifest.json is a million levels deep is refused", async () => {
    const bytes = tar(file("manifest.json", `${"[".repeat(1e6)}${"]".repeat(1e6)}`));
    await expectCode(openBytes(bytes), "ARCHIVE_INVALID");
  });

  test("whose config is deeper than any stack is refused or taken, and nothing else", async () => {
    const deep = config.replace("{", `{"config":{"Labels":${"[".repeat(1e5)}${"]".repeat(1e5)}},`);
    const table = json("manifest.json", [{ Config: "c.json", Layers: ["layer"] }]);
    const bytes = tar(file("c.json", deep), file("layer", "layer"), table);
    await expectCode(load(bytes), "IMAGE_INVALID");
  });
});

describe("indexes inside indexes", () => {
  test("are followed to a depth, and no further", async () => {
    const place = new MadeIndexes();
    let root = place.add([]);
    for (let depth = 0; depth < 12; depth++) root = place.add([root]);
    await expectCode(copyGraph({ source: place, sink: new MemoryPlace(), root }), "IMAGE_TOO_DEEP");
    await expectCode(selectManifest({ source: place, root, platform }), "IMAGE_TOO_DEEP");
  });

  test("are read once each, however often they are named", async () => {
    const place = new MadeIndexes();
    let root = place.add([]);
    // Different entries of one digest: eight levels of a hundred each are 10^16 ways to the bottom.
    for (let depth = 0; depth < 7; depth++) root = place.add(Array<Descriptor>(100).fill(root));
    await expectCode(selectManifest({ source: place, root, platform }), "IMAGE_PLATFORM_NOT_FOUND");
    expect(place.fetched).toBe(8);
    await copyGraph({ source: place, sink: new MemoryPlace(), root });
    expect(place.fetched).toBe(16);
  });
});

describe("the directory of a layout", () => {
  test.each(["secret", "link", "inner", "../outside/secret"])(
    "whose members are links out of it is refused: %s",
    async (target) => {
      const folder = await temporaryFolder();
      const canary = makeCanary(join(folder, "outside"));
      for (const name of ["index.json", "manifest.json"]) {
        for (const leadsTo of [join(canary.directory, target), join("../outside", target)]) {
          const layout = join(folder, `layout-${String(Math.random())}`);
          mkdirSync(layout);
          symlinkSync(leadsTo, join(layout, name));
          await expectCode(openArchiveSource({ input: layout }), "ARCHIVE_INVALID");
        }
      }
      canary.expectUntouched();
    },
  );

  test("whose blobs are links out of it is refused when they are read", async () => {
    const folder = await temporaryFolder();
    const canary = makeCanary(join(folder, "outside"));
    const layout = join(folder, "layout");
    const digest = digestOf(Buffer.from(canary.secret));
    mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
    symlinkSync(join(canary.directory, "secret"), join(layout, "blobs/sha256", digestHex(digest)));
    const size = canary.secret.length;
    const mediaType = mediaTypes.ociManifest;
    writeFileSync(join(layout, "index.json"), index([{ mediaType, digest, size }]));
    const source = await openArchiveSource({ input: layout });
    onTestFinished(async () => source.close());
    await expectCode(source.fetch({ mediaType, digest, size }), "ARCHIVE_INVALID");
    canary.expectUntouched();
  });

  test("may keep its blobs once, linked inside of it", async () => {
    const layout = join(await temporaryFolder(), "layout");
    mkdirSync(join(layout, "kept"), { recursive: true });
    writeFileSync(join(layout, "kept/index"), index([]));
    symlinkSync("kept/index", join(layout, "index.json"));
    const source = await openArchiveSource({ input: layout });
    expect(source.images).toEqual([]);
    await source.close();
  });

  test("with a FIFO for a member does not wait for it", async () => {
    const layout = await temporaryFolder();
    execFileSync("mkfifo", [join(layout, "index.json")]);
    await expectCode(openArchiveSource({ input: layout }), "ARCHIVE_KIND_UNKNOWN");
    await expectCode(openLayoutSink(layout), "IMAGE_INVALID");
  });

  test.each(["blobs", "blobs/sha256"])("that is written to is not left by its %s", async (name) => {
    const folder = await temporaryFolder();
    const canary = makeCanary(join(folder, "outside"));
    const layout = join(folder, "layout");
    mkdirSync(join(layout, dirname(name)), { recursive: true });
    symlinkSync(canary.directory, join(layout, name));
    const sink = await openLayoutSink(layout);
    const content = Buffer.from("planted");
    const descriptor = { mediaType: "x", digest: digestOf(content), size: content.length };
    await expectCode(sink.push(descriptor, Readable.from([content])), "ARCHIVE_WRITE_FAILED");
    canary.expectUntouched();
  });
});

const platform = { os: "linux", architecture: "amd64" };

function index(entries: readonly object[]): string {
  const manifests = entries.map((entry) => ({
    mediaType: mediaTypes.ociManifest,
    size: 1,
    ...entry,
  }));
  return JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
}

/** A place that holds indexes only, and counts how often one is asked for. */
class MadeIndexes {
  readonly label = "made indexes";
  readonly #blobs = new Map<Digest, Buffer>();
  fetched = 0;

  add(entries: readonly Descriptor[]): Descriptor {
    const bytes = Buffer.from(index(entries));
    const digest = digestOf(bytes);
    this.#blobs.set(digest, bytes);
    return { mediaType: mediaTypes.ociIndex, digest, size: bytes.length };
  }

  async fetch({ digest }: Descriptor): Promise<Readable> {
    this.fetched += 1;
    return Readable.from([this.#blobs.get(digest) ?? Buffer.alloc(0)]);
  }

  async resolve(): Promise<undefined> {
    return undefined;
  }
}
