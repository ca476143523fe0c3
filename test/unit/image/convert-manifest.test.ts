import { describe, expect, test } from "vitest";
import { digestOf, mediaTypes } from "../../../src/core/index.ts";
import { convertIndex, convertManifest, type Manifest } from "../../../src/image/index.ts";

const blob = (mediaType: string, text: string) => {
  const bytes = Buffer.from(text);
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
};
const foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
const manifest: Manifest = {
  mediaType: mediaTypes.ociManifest,
  config: blob(mediaTypes.ociConfig, "config"),
  layers: [
    blob(mediaTypes.ociLayerGzip, "gzip"),
    blob(mediaTypes.ociLayer, "plain"),
    { ...blob(foreign, "foreign"), urls: ["https://example.com/foreign"] },
  ],
};

describe("convertManifest", () => {
  test("changes types only, and back again [R11.1, R11.2]", () => {
    const { document, lost } = convertManifest(manifest, "docker");
    expect(lost).toEqual([]);
    expect(document.mediaType).toBe(mediaTypes.dockerManifest);
    expect([document.config, ...document.layers].map(({ mediaType }) => mediaType)).toEqual([
      mediaTypes.dockerConfig,
      mediaTypes.dockerLayerGzip,
      mediaTypes.dockerLayer,
      "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ]);
    expect(convertManifest(document, "oci").document).toEqual(manifest);
  });

  test("tells what Docker's format has no place for [R11.2]", () => {
    const annotated = { ...manifest, annotations: { a: "b" }, subject: manifest.config };
    const { document, lost } = convertManifest(annotated, "docker");
    expect(lost).toEqual(["annotations", "subject"]);
    expect(document).not.toHaveProperty("annotations");
    expect(convertManifest(annotated, "oci")).toEqual({ document: annotated, lost: [] });
  });

  test("refuses what has no type there [R11.3]", () => {
    for (const type of [mediaTypes.ociLayerZstd, "application/vnd.example+json"]) {
      const artifact = { ...manifest, layers: [blob(type, "x")] };
      expect(() => convertManifest(artifact, "docker")).toThrow(
        expect.objectContaining({ code: "IMAGE_UNCONVERTIBLE" }),
      );
    }
  });
});

test("an index of Docker's has platforms and no annotations", () => {
  const entry = {
    ...blob(mediaTypes.dockerManifest, "manifest"),
    annotations: { a: "b" },
    platform: { os: "linux", architecture: "arm64" },
  };
  const index = { mediaType: mediaTypes.ociIndex, manifests: [], annotations: { c: "d" } };
  const { document, lost } = convertIndex(index, [entry], "docker");
  const { annotations: _, ...plain } = entry;
  expect(document).toEqual({ mediaType: mediaTypes.dockerIndex, manifests: [plain] });
  expect(lost).toEqual(["annotations"]);
});
