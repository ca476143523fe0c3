import { describe, expect, test } from "vitest";
import { annotate, parseAnnotation } from "../../../src/api/output/annotations.ts";
import { chooseOutputs, type OutputFlags } from "../../../src/api/output/choose-outputs.ts";
import { parseOutput } from "../../../src/api/output/parse-output.ts";
import { isTsbuildError, type TsbuildError } from "../../../src/core/index.ts";
import type { ImageGroup, LocalImage } from "../../../src/local/index.ts";

const single = { names: ["127.0.0.1:5000/app:1"], isIndex: false };
const several = { ...single, isIndex: true };

const typesOf = (flags: OutputFlags, build = single): string[] =>
  chooseOutputs(flags, build).map((output) =>
    output.type === "image" && output.push ? "image+push" : output.type,
  );
const outputs = (...texts: string[]): OutputFlags => ({ outputs: texts.map(parseOutput) });

function refusal(work: () => unknown): TsbuildError {
  try {
    work();
  } catch (error) {
    if (isTsbuildError(error)) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("what is written", () => {
  test("the store, unless something else is asked for [7.1]", () => {
    expect(typesOf({})).toEqual(["image"]);
    expect(typesOf(outputs("out"))).toEqual(["local"]);
    expect(typesOf(outputs("type=cacheonly"))).toEqual(["cacheonly"]);
    expect(typesOf(outputs("a", "type=oci,dest=b", "type=image"))).toEqual([
      ...["local", "oci", "image"],
    ]);
  });

  test("--load adds the store, --push pushes what there is or adds it [7.1]", () => {
    expect(typesOf({ ...outputs("out"), load: true })).toEqual(["local", "image"]);
    expect(typesOf({ ...outputs("type=image"), load: true })).toEqual(["image"]);
    expect(typesOf({ load: true })).toEqual(["image"]);
    expect(typesOf({ push: true })).toEqual(["image+push"]);
    expect(typesOf({ ...outputs("type=image"), push: true })).toEqual(["image+push"]);
    expect(typesOf({ ...outputs("out"), push: true })).toEqual(["local", "image+push"]);
  });
});

describe("what does not fit together is refused before the build", () => {
  test("annotations of an index that there is not [7.6]", () => {
    for (const flags of [
      { annotations: ["index:k=v"] },
      { annotations: ["manifest,index-descriptor:k=v"] },
      outputs("type=image,annotation-index.k=v"),
    ]) {
      const { code, message } = refusal(() => chooseOutputs(flags, single));
      expect(code).toBe("OUTPUT_UNSUPPORTED");
      expect(message).toContain("index annotations not supported for single platform export");
      expect(() => chooseOutputs(flags, several)).not.toThrow();
    }
  });

  test("several platforms in an archive for docker load [7.3]", () => {
    const { code, message } = refusal(() => chooseOutputs(outputs("type=docker,dest=x"), several));
    expect(code).toBe("OUTPUT_UNSUPPORTED");
    expect(message).toContain("does not currently support exporting manifest lists");
  });

  test("a push without a name, two outputs on standard output, an ID of files", () => {
    const nameless = { names: [], isIndex: false };
    expect(refusal(() => chooseOutputs({ push: true }, nameless)).message).toContain(
      "tag is needed when pushing to registry",
    );
    expect(() => chooseOutputs(outputs("type=registry,name=h/a"), nameless)).not.toThrow();
    expect(refusal(() => chooseOutputs(outputs("-", "type=oci"), single)).code).toBe("USAGE");
    for (const output of ["out", "-"]) {
      const flags = { ...outputs(output), imageIdFile: "id" };
      const { message } = refusal(() => chooseOutputs(flags, single));
      expect(message).toContain("local and tar exporters are incompatible with image ID file");
    }
  });
});

describe("annotations", () => {
  test("one for each of the types, with or without a platform", () => {
    expect(parseAnnotation("k=v=w")).toEqual([{ target: "manifest", key: "k", value: "v=w" }]);
    expect(parseAnnotation("index,manifest-descriptor[linux/arm/v7]:a.b=c")).toEqual([
      { target: "index", key: "a.b", value: "c" },
      {
        ...{ target: "manifest-descriptor", key: "a.b", value: "c" },
        platform: { os: "linux", architecture: "arm", variant: "v7" },
      },
    ]);
    for (const text of ["k", "=v", "layer:k=v", "manifest:=v", "manifest[]:k=v"])
      expect(refusal(() => parseAnnotation(text)).code, text).toBe("USAGE");
  });

  test("go to the documents that they are for; what is said of one platform wins", () => {
    const image = { id: "sha256:x" } as unknown as LocalImage;
    const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
    const group: ImageGroup = {
      members: platforms.map((platform) => ({ image, platform })),
      index: {},
    };
    const annotations = [
      ...["manifest[linux/arm64]:k=arm", "k=all", "only=all", "index:i=1"],
      "manifest-descriptor[linux/amd64]:d=2",
    ].flatMap(parseAnnotation);
    expect(annotate(group, annotations)).toEqual({
      members: [
        {
          image: { ...image, annotations: { k: "all", only: "all" } },
          ...{ platform: platforms[0], annotations: { d: "2" } },
        },
        {
          image: { ...image, annotations: { k: "arm", only: "all" } },
          platform: platforms[1],
        },
      ],
      index: { annotations: { i: "1" } },
    });
    expect(annotate(group, [])).toBe(group);
  });
});
