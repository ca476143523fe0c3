import { describe, expect, test } from "vitest";
import { parseOutput } from "../../../src/api/output/parse-output.ts";

const form = {
  forceCompression: false,
  dockerTypes: false,
  annotations: [],
  rewriteTimestamp: false,
};
const image = {
  ...{ type: "image", push: false, pushByDigest: false, isInsecure: false, store: true },
  form,
};

describe("places", () => {
  test.for([
    ["out", { type: "local", destination: "out", mode: "copy" }],
    ["./a=b", { type: "local", destination: "./a=b", mode: "copy" }],
    ["-", { type: "tar", destination: "-" }],
    ["type=local,dest=out", { type: "local", destination: "out", mode: "copy" }],
    ["type=cacheonly", { type: "cacheonly" }],
  ])("%s [7.1]", ([text, output]) => {
    expect(parseOutput(text as string)).toEqual(output);
  });

  test("files: how they are written and whether platforms are split [7.2]", () => {
    expect(parseOutput("type=local,dest=out,mode=delete,platform-split=false")).toEqual({
      ...{ type: "local", destination: "out", mode: "delete", platformSplit: false },
    });
    expect(parseOutput("type=tar,dest=a.tar,platform-split=true")).toEqual({
      ...{ type: "tar", destination: "a.tar", platformSplit: true },
    });
  });

  test("archives: a tar unless told, and docker without a file is the store [7.3]", () => {
    expect(parseOutput("type=oci,dest=a.tar")).toEqual({
      ...{ type: "oci", destination: "a.tar", isTar: true, form },
    });
    expect(parseOutput("type=oci,dest=a,tar=false")).toMatchObject({ isTar: false });
    expect(parseOutput("type=oci")).toMatchObject({ destination: "-" });
    expect(parseOutput("type=docker,dest=a.tar")).toMatchObject({ type: "docker", isTar: true });
    expect(parseOutput("type=docker")).toEqual(image);
  });
});

describe("images [7.4]", () => {
  test("registry is an image that is pushed", () => {
    expect(parseOutput("type=image")).toEqual(image);
    expect(parseOutput("type=registry")).toEqual({ ...image, push: true });
    expect(parseOutput("type=image,push=true,registry.insecure=true,store=false")).toEqual({
      ...{ ...image, push: true, isInsecure: true, store: false },
    });
    expect(parseOutput("type=image,push-by-digest=true,name=h/a")).toMatchObject({
      ...{ push: true, pushByDigest: true, form: { names: ["h/a"] } },
    });
  });

  test("several names stand in one quoted field", () => {
    expect(parseOutput('type=image,"name=a:1,b:2",push=true')).toMatchObject({
      form: { names: ["a:1", "b:2"] },
    });
  });

  test("compression, media types, times", () => {
    expect(
      parseOutput(
        "type=image,compression=uncompressed,compression-level=9,force-compression=true,oci-mediatypes=false,rewrite-timestamp=true,unpack=true,oci-artifact=false",
      ),
    ).toMatchObject({
      form: {
        ...{ compression: "none", compressionLevel: 9, forceCompression: true },
        ...{ dockerTypes: true, rewriteTimestamp: true },
      },
    });
  });

  test("zstd has more levels, and turns to OCI's media types", () => {
    const text = "type=docker,dest=x,compression=zstd,compression-level=22,oci-mediatypes=false";
    expect(parseOutput(text)).toMatchObject({
      form: { compression: "zstd", compressionLevel: 22, dockerTypes: false },
    });
  });

  test("annotations keep the case of their keys", () => {
    const text =
      "type=oci,dest=x,annotation.Key=1,annotation-index.k=2,annotation-manifest[linux/arm64].k=3";
    expect(parseOutput(text)).toMatchObject({
      form: {
        annotations: [
          { target: "manifest", key: "Key", value: "1" },
          { target: "index", key: "k", value: "2" },
          {
            ...{ target: "manifest", key: "k", value: "3" },
            platform: { os: "linux", architecture: "arm64" },
          },
        ],
      },
    });
  });

  test.for([
    "type=image,compression=estargz",
    "type=image,name-canonical=true",
    "type=image,prefer-nondist-layers=true",
    "type=docker,tar=false,dest=x",
    "type=docker,context=other",
  ])("%s is refused by name", (text) => {
    expect(() => parseOutput(text)).toThrow(
      expect.objectContaining({ code: "OUTPUT_UNSUPPORTED" }),
    );
  });
});

test.for([
  "",
  "type=zip,dest=x",
  "type=",
  "type=local",
  "type=local,dest=",
  "type=oci,tar=false",
  "type=local,dest=x,mode=move",
  "type=local,dest=x,push=true",
  "type=image,push=maybe",
  "type=image,compression-level=high",
  "type=image,compression-level=10",
  "type=image,compression=gzip,compression-level=10",
  "type=image,compression=zstd,compression-level=23",
  "type=image,compression=lz4",
  "type=image,annotation-layer.x=y",
  "dest=x,type",
  "type=oci,dest=a,colour=red",
])("%j is no output", (text) => {
  expect(() => parseOutput(text)).toThrow(expect.objectContaining({ code: "USAGE" }));
});
