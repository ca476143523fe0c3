import { describe, expect, test } from "vitest";
import { mediaTypes, parsePlatform } from "../../../src/core/index.ts";
import {
  selectManifest,
  serializeIndex,
  serializeManifest,
  type Descriptor,
} from "../../../src/image/index.ts";
import { MadeContent } from "../../support/image-maker.ts";
import { expectCode } from "../../support/expect-code.ts";

const unknown = { os: "unknown", architecture: "unknown" };

async function imageFor(source: MadeContent, architecture: string): Promise<Descriptor> {
  const config = { os: "linux", architecture };
  return (await source.addImage([{ a: architecture }], { config })).root;
}

function addIndex(source: MadeContent, manifests: readonly Descriptor[]): Descriptor {
  const mediaType = mediaTypes.ociIndex;
  return source.add(mediaType, serializeIndex({ mediaType, manifests }));
}

const wanted = parsePlatform("linux/s390x");

describe("selectManifest", () => {
  test("looks into nested indexes, and past what is no image [R5.7]", async () => {
    const source = new MadeContent();
    const image = { ...(await imageFor(source, "s390x")), platform: wanted };
    const inner = addIndex(source, [image]);
    const other = source.add("application/vnd.example+json", Buffer.from("{}"));
    const attestation = { ...(await imageFor(source, "s390x")), platform: unknown };
    const marked = {
      ...image,
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    };
    const root = addIndex(source, [{ ...other, platform: wanted }, attestation, marked, inner]);
    const { manifest, indexes } = await selectManifest({ source, root, platform: wanted });
    expect(manifest).toEqual(image);
    expect(indexes.map(({ digest }) => digest)).toEqual([root.digest, inner.digest]);
  });

  test("asks the config of an entry that says no platform, when no other fits [R5.8]", async () => {
    const source = new MadeContent();
    const silent = await imageFor(source, "s390x");
    const named = { ...(await imageFor(source, "arm64")), platform: parsePlatform("linux/arm64") };
    const root = addIndex(source, [silent, named]);
    const found = await selectManifest({ source, root, platform: wanted });
    expect(found.manifest).toEqual(silent);
    source.fetched.length = 0;
    const platform = parsePlatform("linux/arm64");
    expect((await selectManifest({ source, root, platform })).manifest).toEqual(named);
    expect(source.fetched).toEqual([root.digest]);
    const missing = selectManifest({ source, root, platform: parsePlatform("linux/riscv64") });
    await expect(missing).rejects.toMatchObject({
      details: { available: ["linux/arm64", "linux/s390x"] },
    });
  });

  test("an artifact is no image for any platform [R5.7]", async () => {
    const source = new MadeContent();
    const config = source.add(mediaTypes.ociEmpty, Buffer.from("{}"));
    const mediaType = mediaTypes.ociManifest;
    const artifact = source.add(
      mediaType,
      serializeManifest({ mediaType, config, layers: [], artifactType: "application/x" }),
    );
    const root = addIndex(source, [artifact]);
    const work = selectManifest({ source, root, platform: wanted });
    await expectCode(work, "IMAGE_PLATFORM_NOT_FOUND");
  });

  test("a manifest is taken whatever it is for [R5.9]", async () => {
    const source = new MadeContent();
    const root = await imageFor(source, "arm64");
    expect((await selectManifest({ source, root, platform: wanted })).manifest).toEqual(root);
  });
});
