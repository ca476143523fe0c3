import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { digestOf, mediaTypes } from "../../src/core/index.ts";
import { copyContent, type Descriptor } from "../../src/image/index.ts";
import { openBucketPlace, type BucketPlace } from "../../src/object-storage/index.ts";
import { describeContentPlace } from "../contract/content-place-contract.ts";
import { noise } from "../support/cache-trees.ts";
import { expectCode, failureOf } from "../support/expect-code.ts";
import { openFaultyProxy, type FaultyProxy } from "../support/faulty-proxy.ts";
import { MemoryPlace } from "../support/memory-place.ts";
import {
  bucketFieldsOf,
  startObjectStorage,
  type ObjectStorage,
} from "../support/object-storage-process.ts";

let server: ObjectStorage;
beforeAll(async () => {
  server = await startObjectStorage();
});
afterAll(async () => server.stop());

let prefixes = 0;
const policy = { attempts: 5, baseDelay: 5 };

/** A place with a prefix of its own. */
function open(fields: Readonly<Record<string, string>> = {}, host = server.host): BucketPlace {
  const prefix = fields["prefix"] ?? `p${String(++prefixes)}/`;
  const place = openBucketPlace({
    fields: bucketFieldsOf({ ...server, host }, { ...fields, prefix }),
    environment: {},
    policy,
  });
  onTestFinished(() => place.close());
  return place;
}

function blobOf(bytes: Buffer): Descriptor {
  return { mediaType: "application/x-blob", digest: digestOf(bytes), size: bytes.length };
}

function manifestOf(word: string): { readonly descriptor: Descriptor; readonly bytes: Buffer } {
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, annotations: { word } }),
  );
  return { bytes, descriptor: { ...blobOf(bytes), mediaType: mediaTypes.ociManifest } };
}

async function putBlob(place: BucketPlace, bytes: Buffer): Promise<Descriptor> {
  const descriptor = blobOf(bytes);
  const source = new MemoryPlace("memory", new Map([[descriptor.digest, bytes]]));
  await copyContent({ source, sink: place, descriptor });
  return descriptor;
}

async function putManifest(place: BucketPlace, word: string): Promise<Descriptor> {
  const { bytes, descriptor } = manifestOf(word);
  await place.push(descriptor, Readable.from([bytes], { objectMode: false }));
  return descriptor;
}

describeContentPlace("bucket", () => {
  const place = open();
  return Promise.resolve({
    write: (work) => work(place),
    read: (work) => work(open({ prefix: `p${String(prefixes)}/` })),
    nameOf: (tag) => tag,
  });
});

describe("a blob in a bucket", () => {
  test("that is large goes in parts, and comes back as it was", async () => {
    const place = open();
    const bytes = noise(21_000_000, 1);
    const descriptor = await putBlob(place, bytes);
    expect(await place.has(descriptor)).toBe(true);
    expect((await buffer(await place.fetch(descriptor))).equals(bytes)).toBe(true);
    const rest = await buffer(await place.fetchFrom(descriptor, 20_000_000));
    expect(rest.equals(bytes.subarray(20_000_000))).toBe(true);
  });

  test("of a part or two to the byte", async () => {
    const place = open();
    for (const size of [8 * 1024 * 1024, 8 * 1024 * 1024 + 1, 16 * 1024 * 1024]) {
      const bytes = noise(size, size);
      const descriptor = await putBlob(place, bytes);
      expect(digestOf(await buffer(await place.fetch(descriptor)))).toBe(descriptor.digest);
    }
  });

  test("that fails on its way in the middle of its parts is not there", async () => {
    const place = open();
    const descriptor = blobOf(noise(20_000_000, 2));
    const breaking = Readable.from(
      (async function* () {
        yield noise(18_000_000, 3);
        await Promise.resolve();
        throw new Error("broken");
      })(),
      { objectMode: false },
    );
    await expect(place.push(descriptor, breaking)).rejects.toThrow("broken");
    expect(await place.has(descriptor)).toBe(false);
  });

  test("of another length than it should have is not taken for it", async () => {
    const place = open();
    const descriptor = await putBlob(place, noise(1000, 4));
    expect(await place.has({ ...descriptor, size: 1001 })).toBe(false);
  });
});

describe("names in a bucket", () => {
  test("stand for what they were given last, and keys are where BuildKit has them", async () => {
    const place = open({ prefix: "team/", name: "app" });
    const one = await putManifest(place, "one");
    await place.tag("app", one);
    expect(await place.resolve("app")).toEqual(one);
    const elsewhere = open({
      prefix: "",
      blobs_prefix: "team/blobs/",
      manifests_prefix: "team/manifests/",
      name: "app",
    });
    expect(await elsewhere.resolve("app")).toEqual(one);
    expect(await elsewhere.has(one)).toBe(true);
  });

  test("several are written together, and the first that is there is read", async () => {
    const place = open({ name: "first;second" });
    const one = await putManifest(place, "one");
    await place.tag(place.name, one);
    const prefix = `p${String(prefixes)}/`;
    expect(await open({ prefix, name: "second" }).resolve("second")).toEqual(one);
    expect(await open({ prefix, name: "third;second" }).resolve("third")).toEqual(one);
  });

  test("change only when they stand for what one thinks they do", async () => {
    const place = open();
    const [one, two] = [await putManifest(place, "one"), await putManifest(place, "two")];
    expect(await place.tagInstead(one, undefined)).toBe(true);
    expect(await place.tagInstead(two, undefined)).toBe(false);
    expect(await place.tagInstead(two, two)).toBe(false);
    expect(await place.tagInstead(two, one)).toBe(true);
    expect(await place.resolve(place.name)).toEqual(two);
  });

  test("of 20 who change one at the same time, one after the other succeeds", async (ctx) => {
    if (!server.knowsConditions) ctx.skip(`${server.kind} knows no conditions`);
    const place = open();
    const prefix = `p${String(prefixes)}/`;
    const change = async (word: string): Promise<number> => {
      const own = open({ prefix });
      const mine = await putManifest(own, word);
      for (let tries = 1; ; tries += 1) {
        const before = await own.resolve(own.name);
        if (await own.tagInstead(mine, before)) return tries;
      }
    };
    const tries = await Promise.all(
      Array.from({ length: 20 }, (_, index) => change(String(index))),
    );
    expect(tries).toHaveLength(20);
    expect(await place.resolve(place.name)).toBeDefined();
  });
});

describe("a server that is not as it should be", () => {
  async function withProxy(): Promise<{
    readonly proxy: FaultyProxy;
    readonly place: BucketPlace;
  }> {
    const proxy = await openFaultyProxy(server.host);
    onTestFinished(() => proxy.close());
    return { proxy, place: open({}, proxy.host) };
  }

  test("is asked again while it is overloaded", async () => {
    const { proxy, place } = await withProxy();
    let left = 3;
    proxy.choose = () => (left-- > 0 ? { type: "status", status: 503 } : undefined);
    const descriptor = await putBlob(place, noise(1000, 5));
    expect(await place.has(descriptor)).toBe(true);
    expect(proxy.met.length).toBe(3);
  });

  test("gets a part again whose connection broke", async () => {
    const { proxy, place } = await withProxy();
    let left = 2;
    proxy.choose = ({ method, path }) =>
      method === "PUT" && path.includes("partNumber=2") && left-- > 0
        ? { type: "cut-request", after: 1_000_000 }
        : undefined;
    const bytes = noise(20_000_000, 6);
    const descriptor = await putBlob(place, bytes);
    proxy.choose = () => undefined;
    expect(digestOf(await buffer(await place.fetch(descriptor)))).toBe(descriptor.digest);
  });

  test("is read on where its answer broke", async () => {
    const { proxy, place } = await withProxy();
    const descriptor = await putBlob(place, noise(6_000_000, 7));
    let left = 3;
    proxy.choose = ({ method }) =>
      method === "GET" && left-- > 0 ? { type: "cut-answer", after: 1_500_000 } : undefined;
    expect(digestOf(await buffer(await place.fetch(descriptor)))).toBe(descriptor.digest);
    expect(proxy.seen.filter(({ range }) => range !== undefined).length).toBe(3);
  });

  test("does not keep what was changed on its way", async (ctx) => {
    if (!server.checksSignatures) ctx.skip(`${server.kind} does not compare contents`);
    const { proxy, place } = await withProxy();
    proxy.choose = ({ method }) =>
      method === "PUT" ? { type: "damage-request", at: 500 } : undefined;
    const descriptor = blobOf(noise(1000, 8));
    await expect(putBlob(place, noise(1000, 8))).rejects.toThrow();
    proxy.choose = () => undefined;
    expect(await place.has(descriptor)).toBe(false);
  });
});

describe("who may not", () => {
  test("is told so, and no secret is", async (ctx) => {
    if (!server.checksSignatures) ctx.skip(`${server.kind} looks at no signatures`);
    const place = open({ secret_access_key: "a-wrong-secret-nobody-may-see" });
    const error = await failureOf(putBlob(place, noise(10, 9)));
    expect(error.code).toMatch(/^OBJECT_STORAGE_(?:CREDENTIALS_INVALID|DENIED)$/);
    expect(error.hint).toContain("the place itself");
    const told = JSON.stringify([error.message, error.hint, error.details]);
    expect(told).not.toContain("a-wrong-secret");
  });

  test("is nobody whom the server knows", async (ctx) => {
    if (server.kind === "moto_server") ctx.skip(`${server.kind} knows everybody`);
    const place = open({ access_key_id: "nobody", secret_access_key: "of-nobody" });
    const error = await failureOf(place.resolve("x"));
    expect(error.code).toMatch(/^OBJECT_STORAGE_(?:CREDENTIALS_INVALID|DENIED)$/);
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain("of-nobody");
  });

  test("names a bucket that is not there", async () => {
    const place = open({ bucket: "no-such-bucket" });
    const error = await failureOf(place.resolve("x"));
    expect(error.code).toBe("OBJECT_STORAGE_NOT_FOUND");
    expect(error.hint).toContain("make the bucket first");
    await expectCode(putBlob(place, noise(10, 9)), "OBJECT_STORAGE_NOT_FOUND");
  });

  test("reaches nobody", async () => {
    await expectCode(open({}, "127.0.0.1:1").resolve("x"), "OBJECT_STORAGE_UNREACHABLE");
  });
});
