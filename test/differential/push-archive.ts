import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { FakeRegistry } from "../support/registry.ts";
import type { ArchiveManifest } from "./image.ts";
import { readTar } from "./tar.ts";

const media = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

/** Lays the image of a docker archive into a registry under its name without the host: `HOST/NAME:TAG` is `NAME`, `TAG`. */
export async function pushArchive(archive: string, registry: FakeRegistry): Promise<void> {
  const files = new Map(
    readTar(await readFile(archive)).map(({ path, content }) => [path, content]),
  );
  const contentOf = (path: string): Buffer => files.get(path) ?? Buffer.alloc(0);
  const [image] = JSON.parse(contentOf("manifest.json").toString()) as ArchiveManifest[];
  const [, name = "", tag = ""] = /^[^/]+\/(.+):(.+)$/.exec(image?.RepoTags?.[0] ?? "") ?? [];
  const { blobs, manifests, tags } = registry.repository(name);
  const put = (mediaType: string, path: string): object => {
    const bytes = contentOf(path);
    blobs.set(digestOf(bytes), bytes);
    return { mediaType, size: bytes.length, digest: digestOf(bytes) };
  };
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: media.manifest,
      config: put(media.config, image?.Config ?? ""),
      layers: image?.Layers.map((layer) => put(media.layer, layer)),
    }),
  );
  manifests.set(digestOf(bytes), { type: media.manifest, bytes });
  tags.set(tag, digestOf(bytes));
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
