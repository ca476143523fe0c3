import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { parseCacheFrom, parseCacheTo, parseOutput } from "../../../src/api/index.ts";
import { formatLocation } from "../../../src/api/build/cache/cache-spec.ts";
import { expectThrown } from "../../support/expect-code.ts";

describe("--cache-from [6.21]", () => {
  test("a bare reference is a registry's", () => {
    const spec = { type: "registry", ref: "host.io/team/app:cache", isInsecure: false };
    expect(parseCacheFrom("host.io/team/app:cache")).toEqual(spec);
    expect(parseCacheFrom("type=registry,ref=host.io/team/app:cache")).toEqual(spec);
    expect(parseCacheFrom("type=registry,ref=a,registry.insecure=true")).toMatchObject({
      isInsecure: true,
    });
  });

  test("a directory has src, tag and digest", () => {
    expect(parseCacheFrom("type=local,src=/tmp/cache")).toEqual({
      ...{ type: "local", directory: "/tmp/cache", tag: "latest" },
    });
    expect(parseCacheFrom("type=local,src=c,tag=main,digest=sha256:12")).toEqual({
      ...{ type: "local", directory: "c", tag: "main", digest: "sha256:12" },
    });
  });

  test("kinds of places that are not known are told when the build looks", () => {
    expect(parseCacheFrom("type=gha,scope=x")).toEqual({ type: "unsupported", kind: "gha" });
    expect(parseCacheFrom("type=azblob")).toEqual({ type: "unsupported", kind: "azblob" });
  });

  test("a field with two values is refused, one that is repeated is not", () => {
    expectThrown(() => parseCacheFrom("type=local,src=a,src=b"), "USAGE");
    expectThrown(() => parseCacheTo("type=s3,bucket=a,Bucket=b"), "USAGE");
    expectThrown(() => parseOutput("type=oci,dest=a,dest=b"), "USAGE");
    expect(parseCacheFrom("type=local,src=a,src=a")).toMatchObject({ directory: "a" });
  });

  test("what cannot mean anything is refused", () => {
    for (const text of [
      "",
      "type=local",
      "type=local,src=",
      "type=local,dest=x",
      "type=registry",
      "type=inline",
      "type=other,ref=x",
      "ref=x",
      "type=registry,ref=x,mode=max",
      "type=registry,ref=x,registry.insecure=perhaps",
    ]) {
      expectThrown(() => parseCacheFrom(text), "USAGE");
    }
  });

  test("a location reads as it was written", () => {
    const directory = '/tmp/odd, "quoted"';
    const text = formatLocation({ type: "local", src: directory, tag: undefined });
    expect(parseCacheFrom(text)).toMatchObject({ directory });
  });
});

describe("--cache-to [6.19, 6.20]", () => {
  const form = {
    ...{ mode: "min", forceCompression: false, isImageManifest: true },
    ...{ dockerTypes: false, ignoreError: false },
  };

  test("registry, local and inline", () => {
    const place = { type: "registry", ref: "host/app:cache", isInsecure: false };
    expect(parseCacheTo("host/app:cache")).toEqual({ ...form, type: "place", place, reset: false });
    expect(parseCacheTo("type=local,dest=out,tag=main,mode=max,reset=true")).toEqual({
      ...{ ...form, mode: "max", type: "place", reset: true },
      place: { type: "local", directory: "out", tag: "main" },
    });
    expect(parseCacheTo("type=inline,mode=max")).toEqual({ ...form, type: "inline" });
  });

  test("how layers and documents are written, and what becomes of a failure", () => {
    expect(
      parseCacheTo(
        "type=registry,ref=a,compression=zstd,compression-level=9,force-compression=true,ignore-error=true",
      ),
    ).toMatchObject({
      ...{ compression: "zstd", compressionLevel: 9, forceCompression: true, ignoreError: true },
    });
    expect(parseCacheTo("type=registry,ref=a,image-manifest=false")).toMatchObject({
      ...{ isImageManifest: false, dockerTypes: false },
    });
    expect(parseCacheTo("type=registry,ref=a,oci-mediatypes=false")).toMatchObject({
      ...{ isImageManifest: false, dockerTypes: true },
    });
  });

  test("an object storage keeps its own fields", () => {
    const target = parseCacheTo("type=s3,mode=max,bucket=b,region=r,ignore-error=true");
    expect(target).toMatchObject({
      ...{ mode: "max", ignoreError: true },
      place: {
        type: "s3",
        fields: new Map([
          ["bucket", "b"],
          ["region", "r"],
        ]),
      },
    });
  });

  test("a text that is wrong is told without its secrets", () => {
    for (const wrong of [
      "type=s3,bucket=b,secret_access_key=canary,mode=other",
      'type=s3,bucket=b,"secret_access_key=can,canary",nonsense',
      'type=s3,"session_token=canary',
      "type=gha,token=canary",
    ]) {
      for (const parse of [parseCacheTo, parseCacheFrom]) {
        let told = "";
        try {
          parse(wrong);
        } catch (error) {
          told = inspect(error, { depth: 5 });
        }
        expect(told).not.toContain("canary");
      }
    }
  });

  test("what is not made is refused", () => {
    for (const text of [
      "type=gha",
      "type=azblob,name=x",
      "type=registry,ref=a,compression=estargz",
    ])
      expectThrown(() => parseCacheTo(text), "OUTPUT_UNSUPPORTED");
    for (const text of [
      "type=local",
      "type=registry,ref=a,mode=most",
      "type=registry,ref=a,compression=lzma",
      "type=registry,ref=a,image-manifest=true,oci-mediatypes=false",
      "type=registry,ref=a,reset=true",
      "type=inline,ref=x",
      "type=inline,compression=zstd",
      "type=inline,image-manifest=false",
    ]) {
      expectThrown(() => parseCacheTo(text), "USAGE");
    }
  });
});
