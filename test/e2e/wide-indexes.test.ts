import { join } from "node:path";
import { mkdir, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { digestOf, mediaTypes } from "../../src/core/index.ts";
import type { Descriptor } from "../../src/image/index.ts";
import { expectCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

// Six indexes, each listing the next one three hundred times: no place has more than eight small blobs, and whoever
// follows each entry reads them more often than there are atoms.

async function writeWideLayout(folder: string): Promise<void> {
  const blobs = join(folder, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const add = async (mediaType: string, document: object): Promise<Descriptor> => {
    const text = JSON.stringify(document);
    const digest = digestOf(text);
    await writeFile(join(blobs, digest.slice("sha256:".length)), text);
    return { mediaType, digest, size: text.length };
  };
  const platform = { os: "linux", architecture: "amd64" };
  const rootfs = { type: "layers", diff_ids: [] };
  const config = await add(mediaTypes.ociConfig, { ...platform, rootfs, config: {} });
  const manifest = { schemaVersion: 2, config, layers: [] };
  let top = { ...(await add(mediaTypes.ociManifest, manifest)), platform } as object;
  for (let depth = 0; depth < 6; depth++) {
    const manifests = Array<object>(300).fill(top);
    top = await add(mediaTypes.ociIndex, { schemaVersion: 2, manifests });
  }
  const named = { ...top, annotations: { "org.opencontainers.image.ref.name": "wide:1" } };
  await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const index = { schemaVersion: 2, manifests: [named] };
  await writeFile(join(folder, "index.json"), JSON.stringify(index));
}

test("indexes that list each other many times are followed once each", async () => {
  const folder = await temporaryFolder();
  const wide = join(folder, "wide");
  await writeWideLayout(wide);
  const root = join(folder, "root");
  const inWide = `oci:${wide}:wide:1`;
  for (const args of [
    ["load", "-q", "-i", wide],
    ["images"],
    ["inspect", "wide:1"],
    ["image", "cp", "wide:1", `oci:${join(folder, "copy")}:x`],
    ["save", "-o", join(folder, "x.tar"), "--format", "oci-archive", "wide:1"],
    ["image", "mutate", inWide, "--label", "a=b", "-t", `oci:${join(folder, "changed")}:x`],
    ["manifest", "create", "list:1", inWide],
    ["system", "verify"],
    ["rmi", "wide:1"],
  ])
    await expectCli(args, { root });
  const { stdout } = await expectCli(["images", "-q"], { root });
  expect(stdout).toBe("");
});
