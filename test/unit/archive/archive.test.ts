import { execFileSync } from "node:child_process";
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { extract, pack, type Header } from "tar-stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { digestHex, digestOf, mediaTypes } from "../../../src/core/index.ts";
import {
  copyGraph,
  readImage,
  serializeImageConfig,
  serializeIndex,
  type Descriptor,
} from "../../../src/image/index.ts";
import {
  openArchiveSink,
  openArchiveSource,
  openImageDirectorySink,
  type ArchiveFlavor,
  type ArchiveSource,
  type OpenArchiveSourceOptions,
} from "../../../src/archive/index.ts";
import { MemoryPlace } from "../../support/memory-place.ts";
import {
  makeRandomImage,
  makeRandomIndex,
  type RandomImage,
  type RandomSingleImage,
} from "../../support/random-image.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { expectCode, failureOf } from "../../support/expect-code.ts";

const mebibyte = 1024 * 1024;

describe("what is written", () => {
  test("has a fixed order, fixed attributes, and the table of contents that Docker reads", async () => {
    const image = await makeRandomImage({ layers: 2 });
    const members = await listTar(await save([image], { names: ["app:1", "host.io/app:2"] }));
    const config = image.manifest.config.digest;
    const layers = image.manifest.layers.map(({ digest }) => digest);
    expect(members.map(({ name }) => name)).toEqual([
      "blobs/",
      "blobs/sha256/",
      ...[config, ...layers, image.root.digest].map(blobName),
      "index.json",
      "manifest.json",
      "oci-layout",
    ]);
    for (const { headers } of members) {
      expect([headers.uid, headers.gid, headers.mtime?.getTime()]).toEqual([0, 0, 0]);
      expect(headers.mode).toBe(headers.type === "directory" ? 0o755 : 0o644);
    }
    const file = (name: string): unknown =>
      JSON.parse(members.find((member) => member.name === name)?.bytes.toString() ?? "");
    expect(file("oci-layout")).toEqual({ imageLayoutVersion: "1.0.0" });
    expect(file("manifest.json")).toEqual([
      {
        Config: blobName(config),
        RepoTags: ["app:1", "host.io/app:2"],
        Layers: layers.map(blobName),
      },
    ]);
    expect(file("index.json")).toMatchObject({
      schemaVersion: 2,
      manifests: [
        {
          digest: image.root.digest,
          annotations: {
            "io.containerd.image.name": "docker.io/library/app:1",
            "org.opencontainers.image.ref.name": "1",
          },
        },
        { annotations: { "io.containerd.image.name": "host.io/app:2" } },
      ],
    });
  });

  test("an OCI archive has nothing of Docker's", async () => {
    const image = await makeRandomImage();
    const members = await listTar(await save([image], { flavor: "oci" }));
    expect(members.map(({ name }) => name)).not.toContain("manifest.json");
  });

  test("is the same for the same image, also when content arrives in another order", async () => {
    const image = await makeRandomImage({ layers: 5 });
    const first = await save([image], { names: ["app:1"] });
    const second = await save([image], { names: ["app:1"], slowFirst: true });
    expect(digestOf(second)).toBe(digestOf(first));
  });

  test("Docker's table names the image for this machine out of an index", async () => {
    const here = process.arch === "arm64" ? "linux/arm64" : "linux/amd64";
    const index = await makeRandomIndex(["linux/s390x", here]);
    const members = await listTar(await save([index], { names: ["app:1"] }));
    const table = members.find(({ name }) => name === "manifest.json")?.bytes.toString() ?? "";
    expect(table).toContain(
      digestHex(index.images[1]?.manifest.config.digest ?? index.root.digest),
    );
    expect(JSON.parse(table)).toHaveLength(1);
  });

  test("an image without a name is in it all the same", async () => {
    const image = await makeRandomImage();
    const bytes = await save([image], { names: [] });
    const source = await openBytes(bytes);
    expect(source.images).toMatchObject([{ descriptor: { digest: image.root.digest }, names: [] }]);
  });

  test("a file appears when it is complete, and not at all after a failure", async () => {
    const folder = await temporaryFolder();
    const output = join(folder, "app.tar");
    await writeFile(output, "before");
    const sink = await openArchiveSink({ output, flavor: "docker" });
    const image = await makeRandomImage();
    const source = new MemoryPlace("empty");
    await copyGraph({ source, sink, root: image.root }).catch(() => sink.abort());
    expect(await readdir(folder)).toEqual(["app.tar"]);
    expect(await readFile(output, "utf8")).toBe("before");
  });

  test("a full disk and a missing folder are told", async () => {
    const sink = await openArchiveSink({ output: "/dev/full", flavor: "oci" });
    expect(await failureOf(sink.finish())).toMatchObject({ code: "DISK_FULL" });
    const missing = openArchiveSink({ output: "/nowhere/at/all.tar", flavor: "oci" });
    expect(await failureOf(missing)).toMatchObject({ code: "ARCHIVE_WRITE_FAILED" });
  });

  test("a stream that is closed early is told", async () => {
    const output = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
    const sink = await openArchiveSink({ output, flavor: "oci" });
    const image = await makeRandomImage({ layerSize: 300_000 });
    const source = new MemoryPlace("test", image.blobs);
    const copied = copyGraph({ source, sink, root: image.root });
    expect(await failureOf(copied)).toMatchObject({ details: { side: "sink" } });
    await sink.abort();
  });
});

describe("what is read", () => {
  test.each(["plain file", "gzip file", "plain stream", "gzip stream"])("%s", async (form) => {
    const image = await makeRandomImage();
    const bytes = await save([image], { names: ["app:1"] });
    const packed = form.startsWith("gzip") ? gzipSync(bytes) : bytes;
    const source = form.endsWith("stream")
      ? await openSource({ input: Readable.from([packed], { objectMode: false }) })
      : await openBytes(packed);
    expect(source.kind).toBe("oci-layout");
    await expectImage(source, "app:1", image);
  });

  test("temporary files go with the archive", async () => {
    const tmpDir = await temporaryFolder();
    const bytes = gzipSync(await save([await makeRandomImage()]));
    const input = (): Readable => Readable.from([bytes], { objectMode: false });
    const source = await openArchiveSource({ input: input(), tmpDir });
    expect(await readdir(tmpDir)).toHaveLength(1);
    await source.close();
    const broken = Readable.from([bytes.subarray(0, 500)], { objectMode: false });
    await failureOf(openArchiveSource({ input: broken, tmpDir }));
    expect(await readdir(tmpDir)).toEqual([]);
  });

  test("the directory of an OCI layout", async () => {
    const image = await makeRandomImage();
    const folder = await temporaryFolder();
    await unpack(await save([image], { names: ["app:1"], flavor: "oci" }), folder);
    const source = await openSource({ input: folder });
    await expectImage(source, "app:1", image);
    const other = await makeRandomImage({ seed: "other" });
    expect(await failureOf(source.fetch(other.root))).toMatchObject({
      code: "ARCHIVE_BLOB_NOT_FOUND",
    });
  });

  test.each([
    ["as current tools write it", "{hex}.tar"],
    ["with a folder per layer", "{hex}/layer.tar"],
  ])("a docker-archive %s", async (_name, pattern) => {
    const image = await makeRandomImage({ compression: "none", layers: 3 });
    const source = await openBytes(await dockerArchive(image, pattern, ["app:1", "app:2"]));
    expect(source.kind).toBe("docker-archive");
    expect(source.images).toMatchObject([
      { names: ["docker.io/library/app:1", "docker.io/library/app:2"] },
    ]);
    const root = (await source.resolve("app:2")) ?? image.root;
    const sink = new MemoryPlace("test");
    await copyGraph({ source, sink, root });
    const read = await readImage({ source: sink, root });
    expect(read.manifest.layers.map(({ digest }) => digest)).toEqual(image.config.diffIds);
    expect(digestOf(read.configBytes)).toBe(image.manifest.config.digest);
  });

  test("a docker-archive whose layers are compressed", async () => {
    const image = await makeRandomImage({ layers: 2 });
    const source = await openBytes(await dockerArchive(image, "{hex}.tar", ["app:1"]));
    const root = (await source.resolve("app:1")) ?? image.root;
    const sink = new MemoryPlace("test");
    await copyGraph({ source, sink, root });
    const { manifest } = await readImage({ source: sink, root });
    expect(manifest.layers).toEqual(image.manifest.layers);
  });

  test("a docker-archive whose layers are links to each other", async () => {
    const image = await makeRandomImage({ compression: "none", layers: 1 });
    const [tar = Buffer.alloc(0)] = image.layerTars;
    const bytes = await makeTar([
      { name: "./first/layer.tar", bytes: tar },
      { name: "second/layer.tar", linkname: "../first/layer.tar", type: "symlink" },
      { name: "third/layer.tar", linkname: "second/layer.tar", type: "link" },
      ...tableOf(image, ["third/layer.tar"], ["app:1"]),
    ]);
    const source = await openBytes(bytes);
    const root = (await source.resolve("app:1")) ?? image.root;
    const sink = new MemoryPlace("test");
    await copyGraph({ source, sink, root });
    expect(sink.blobs.get(digestOf(tar))?.equals(tar)).toBe(true);
  });

  test("names beyond 100 bytes, in all the ways of writing them", async () => {
    const image = await makeRandomImage({ compression: "none", layers: 1 });
    const long = `${"d".repeat(120)}/${"f".repeat(120)}/layer.tar`;
    const source = await openBytes(
      await makeTar([
        { name: long, bytes: image.layerTars[0] ?? Buffer.alloc(0) },
        ...tableOf(image, [long], ["app:1"]),
      ]),
    );
    const root = (await source.resolve("app:1")) ?? image.root;
    const copied = copyGraph({ source, sink: new MemoryPlace("test"), root });
    expect((await copied).copied.count).toBe(3);
  });

  test.each(["gnu", "pax 0.0", "pax 0.1", "pax 1.0"])(
    "written by tar --sparse, %s",
    async (kind) => {
      const folder = await temporaryFolder();
      const layout = join(folder, "layout");
      await mkdir(join(layout, "blobs/sha256"), { recursive: true });
      await writeFile(
        join(layout, "index.json"),
        serializeIndex({ mediaType: mediaTypes.ociIndex, manifests: [] }),
      );
      // More regions than the headers of GNU's old format have room for.
      const place = join(layout, "blob");
      const file = await open(place, "w");
      await file.truncate(40 * mebibyte);
      for (let index = 0; index < 30; index++)
        await file.write(`part ${String(index)}`, index * mebibyte);
      await file.close();
      const digest = digestOf(await readFile(place));
      await rename(place, join(layout, blobName(digest)));
      const [format = "", version = "1.0"] = kind.split(" ");
      const input = join(folder, "sparse.tar");
      const flags = ["-S", `--format=${format}`, `--sparse-version=${version}`, "-C", layout];
      execFileSync("tar", [...flags, "-cf", input, "blobs", "index.json"]);
      expect((await stat(input)).size).toBeLessThan(mebibyte);
      const source = await openSource({ input });
      const content = await source.fetch({
        mediaType: mediaTypes.ociLayer,
        digest,
        size: 40 * mebibyte,
      });
      expect(digestOf(await buffer(content))).toBe(digest);
    },
  );

  test("names by tag alone need a repository", async () => {
    const image = await makeRandomImage();
    const named = (ref: string): Descriptor => ({
      ...image.root,
      annotations: { "org.opencontainers.image.ref.name": ref },
    });
    const index = serializeIndex({
      mediaType: mediaTypes.ociIndex,
      manifests: [named("1.0"), named("host.io/app:2"), named("NOT A NAME"), named("a:B C")],
    });
    const bytes = await layoutOf(image, index);
    expect((await openBytes(bytes)).images).toMatchObject([{ names: ["host.io/app:2"] }]);
    expect((await openBytes(bytes, { repository: "host.io/me" })).images).toMatchObject([
      { names: ["host.io/me:1.0", "host.io/app:2"] },
    ]);
  });

  test("entries that belong to other entries are no images", async () => {
    const image = await makeRandomImage();
    const annotations = { "io.containerd.manifest.subject": image.root.digest };
    const index = serializeIndex({
      mediaType: mediaTypes.ociIndex,
      manifests: [image.root, { ...image.manifest.config, annotations }],
    });
    expect((await openBytes(await layoutOf(image, index))).images).toHaveLength(1);
  });
});

describe("what is broken or hostile", () => {
  test("a tar that ends anywhere in the middle is told as such, or lacks a blob", async () => {
    const image = await makeRandomImage({ layers: 2, layerSize: 3000 });
    const bytes = await save([image], { names: ["app:1"] });
    const folder = await temporaryFolder();
    const input = join(folder, "cut.tar");
    for (let length = bytes.length - 1025; length > 0; length -= 1111) {
      await writeFile(input, bytes.subarray(0, length));
      const { code } = await failureOf(openArchiveSource({ input }));
      expect(["ARCHIVE_TRUNCATED", "ARCHIVE_KIND_UNKNOWN"]).toContain(code);
    }
    const packed = gzipSync(bytes);
    await writeFile(input, packed.subarray(0, packed.length - 100));
    expect((await failureOf(openArchiveSource({ input }))).code).toBe("ARCHIVE_TRUNCATED");
  });

  test("a text is no tar, however short", async () => {
    const input = join(await temporaryFolder(), "notes.txt");
    for (const text of ["x", "just words\n", "words ".repeat(200)]) {
      await writeFile(input, text);
      const { code, message } = await failureOf(openArchiveSource({ input }));
      expect([code, message]).toEqual(["ARCHIVE_INVALID", `read archive ${input}: it is no tar`]);
    }
  });

  test("a file that shrinks while it is read is told", async () => {
    const image = await makeRandomImage({ layers: 1 });
    const input = join(await temporaryFolder(), "app.tar");
    await writeFile(input, await save([image], { names: ["app:1"] }));
    const source = await openSource({ input });
    await truncate(input, 1600);
    const copied = copyGraph({ source, sink: new MemoryPlace("test"), root: image.root });
    expect((await failureOf(copied)).details).toMatchObject({ side: "source" });
  });

  test("damaged content is noticed, in a layer that only its diffId knows too", async () => {
    const image = await makeRandomImage({ compression: "none", layers: 1 });
    const bytes = await dockerArchive(image, "{hex}.tar", ["app:1"]);
    const tar = image.layerTars[0] ?? Buffer.alloc(0);
    const place = bytes.indexOf(tar.subarray(600, 700));
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    const source = await openBytes(bytes);
    const root = (await source.resolve("app:1")) ?? image.root;
    const copied = copyGraph({ source, sink: new MemoryPlace("test"), root });
    expect(await failureOf(copied)).toMatchObject({ code: "DIGEST_MISMATCH" });
  });

  test.each([
    ["no archive at all", Buffer.from("hello ".repeat(200)), "ARCHIVE_INVALID"],
    ["an empty file", Buffer.alloc(0), "ARCHIVE_KIND_UNKNOWN"],
    ["only zeros", Buffer.alloc(10_240), "ARCHIVE_KIND_UNKNOWN"],
  ])("%s", async (_name, bytes, code) => {
    expect((await failureOf(openBytes(bytes))).code).toBe(code);
  });

  test("a pipe whose writer has failed is told as empty", async () => {
    const failure = await failureOf(openArchiveSource({ input: Readable.from([]) }));
    expect(failure).toMatchObject({ code: "ARCHIVE_KIND_UNKNOWN" });
    expect(failure.message).toContain("it is empty");
  });

  test("a directory that holds something else is not written to [R10.7]", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "mine"), "");
    await expectCode(openImageDirectorySink(folder), "ARCHIVE_WRITE_FAILED");
    expect(await readdir(folder)).toEqual(["mine"]);
  });

  test("a header that was changed", async () => {
    const bytes = await save([await makeRandomImage()]);
    bytes[3] = 0x78;
    expect((await failureOf(openBytes(bytes))).code).toBe("ARCHIVE_INVALID");
  });

  test("a root filesystem is told from an image", async () => {
    const bytes = await makeTar([{ name: "etc/passwd", bytes: Buffer.from("root") }]);
    expect((await failureOf(openBytes(bytes))).code).toBe("ARCHIVE_KIND_UNKNOWN");
  });

  test("paths out of the archive lead nowhere", async () => {
    const image = await makeRandomImage({ compression: "none", layers: 1 });
    const secret = join(await temporaryFolder(), "secret");
    await writeFile(secret, "secret");
    for (const path of [secret, `../../../..${secret}`]) {
      const bytes = await makeTar([
        { name: "evil.tar", linkname: path, type: "symlink" },
        ...tableOf(image, ["evil.tar"], ["app:1"]),
      ]);
      expect((await failureOf(openBytes(bytes))).code).toBe("ARCHIVE_BLOB_NOT_FOUND");
      const direct = await makeTar(tableOf(image, [path], ["app:1"]));
      expect((await failureOf(openBytes(direct))).code).toBe("ARCHIVE_BLOB_NOT_FOUND");
    }
  });

  test("links in a circle come to an end", async () => {
    const image = await makeRandomImage({ compression: "none", layers: 1 });
    const bytes = await makeTar([
      { name: "a", linkname: "b", type: "symlink" },
      { name: "b", linkname: "a", type: "symlink" },
      ...tableOf(image, ["a"], ["app:1"]),
    ]);
    expect((await failureOf(openBytes(bytes))).code).toBe("ARCHIVE_BLOB_NOT_FOUND");
  });

  test("a config with more or fewer layers than the table", async () => {
    const image = await makeRandomImage({ compression: "none", layers: 2 });
    const files = image.layerTars.map((bytes, index) => ({ name: `${String(index)}.tar`, bytes }));
    for (const layers of [["0.tar"], ["0.tar", "1.tar", "0.tar"], []]) {
      const bytes = await makeTar([...files, ...tableOf(image, layers, ["app:1"])]);
      expect((await failureOf(openBytes(bytes))).code).toBe("IMAGE_INVALID");
    }
  });

  test.each(["null", "{}", "[1]", '[{"Config":1}]', '[{"Config":"c","Layers":"x"}]', "[{"])(
    "manifest.json that says %s",
    async (text) => {
      const bytes = await makeTar([{ name: "manifest.json", bytes: Buffer.from(text) }]);
      expect((await failureOf(openBytes(bytes))).code).toBe("ARCHIVE_INVALID");
    },
  );

  test("an empty table is an archive of no images", async () => {
    const bytes = await makeTar([{ name: "manifest.json", bytes: Buffer.from("[]") }]);
    expect((await openBytes(bytes)).images).toEqual([]);
  });

  test("a missing file", async () => {
    const opened = openArchiveSource({ input: "/nowhere/app.tar" });
    expect((await failureOf(opened)).code).toBe("ARCHIVE_NOT_FOUND");
  });
});

interface Member {
  readonly name: string;
  readonly bytes?: Buffer;
  readonly linkname?: string;
  readonly type?: Header["type"];
}

interface SaveOptions {
  readonly names?: readonly string[];
  readonly flavor?: ArchiveFlavor;
  readonly slowFirst?: boolean;
}

async function save(images: readonly RandomImage[], options: SaveOptions = {}): Promise<Buffer> {
  const output = new PassThrough();
  const bytes = buffer(output);
  const sink = await openArchiveSink({ output, flavor: options.flavor ?? "docker" });
  for (const image of images) {
    const source = new MemoryPlace("test", image.blobs);
    const fetch = source.fetch.bind(source);
    if (options.slowFirst === true) {
      source.fetch = async (descriptor) => {
        await new Promise((resolve) => setTimeout(resolve, source.fetched.length === 1 ? 40 : 1));
        return fetch(descriptor);
      };
    }
    await copyGraph({ source, sink, root: image.root });
    for (const name of options.names ?? []) await sink.tag(name, image.root);
    if (options.names?.length === 0) sink.include(image.root);
  }
  await sink.finish();
  return bytes;
}

async function openBytes(
  bytes: Buffer,
  options: Partial<OpenArchiveSourceOptions> = {},
): Promise<ArchiveSource> {
  const input = join(await temporaryFolder(), "app.tar");
  await writeFile(input, bytes);
  return openSource({ input, ...options });
}

async function openSource(options: OpenArchiveSourceOptions): Promise<ArchiveSource> {
  const source = await openArchiveSource(options);
  onTestFinished(() => source.close());
  return source;
}

async function expectImage(source: ArchiveSource, name: string, image: RandomImage): Promise<void> {
  const root = await source.resolve(name);
  expect(root?.digest).toBe(image.root.digest);
  const sink = new MemoryPlace("test");
  await copyGraph({ source, sink, root: root ?? image.root });
  expect([...sink.blobs.keys()].sort()).toEqual([...image.blobs.keys()].sort());
}

async function makeTar(members: readonly Member[]): Promise<Buffer> {
  const tar = pack();
  for (const { name, bytes, linkname, type } of members) {
    tar.entry(
      { name, type: type ?? "file", ...(linkname === undefined ? {} : { linkname }) },
      bytes ?? Buffer.alloc(0),
    );
  }
  tar.finalize();
  return buffer(tar);
}

function tableOf(
  image: RandomSingleImage,
  layers: readonly string[],
  repoTags: readonly string[],
): readonly Member[] {
  const table = [{ Config: "config.json", RepoTags: repoTags, Layers: layers }];
  return [
    { name: "config.json", bytes: serializeImageConfig(image.config) },
    { name: "manifest.json", bytes: Buffer.from(JSON.stringify(table)) },
  ];
}

async function dockerArchive(
  image: RandomSingleImage,
  pattern: string,
  repoTags: readonly string[],
): Promise<Buffer> {
  const paths = image.manifest.layers.map(({ digest }) =>
    pattern.replace("{hex}", digestHex(digest)),
  );
  const layers = image.manifest.layers.map(({ digest }, index) => ({
    name: paths[index] ?? "",
    bytes: image.blobs.get(digest) ?? Buffer.alloc(0),
  }));
  return makeTar([...layers, ...tableOf(image, paths, repoTags)]);
}

async function layoutOf(image: RandomImage, index: Buffer): Promise<Buffer> {
  const blobs = [...image.blobs].map(([digest, bytes]) => ({ name: blobName(digest), bytes }));
  return makeTar([...blobs, { name: "index.json", bytes: index }]);
}

async function listTar(bytes: Buffer) {
  const members: { name: string; headers: Header; bytes: Buffer }[] = [];
  const parser = extract();
  parser.end(bytes);
  for await (const entry of parser) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const name = entry.header.name + (entry.header.type === "directory" ? "/" : "");
    members.push({
      name: name.replace("//", "/"),
      headers: entry.header,
      bytes: Buffer.concat(chunks),
    });
  }
  return members;
}

async function unpack(tar: Buffer, folder: string): Promise<void> {
  for (const { name, headers, bytes } of await listTar(tar)) {
    if (headers.type === "directory") continue;
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}
