import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { flattenLayers, type Tree } from "./flatten.ts";
import { readTar } from "./tar.ts";

/** An image as a docker archive holds it. */
export interface Image {
  /** The config document, as it is. */
  readonly config: ConfigDocument;
  readonly tree: Tree;
}

/** The parts of a config document that are looked at by name; the rest is compared as it comes. */
export interface ConfigDocument {
  readonly created?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly history?: readonly HistoryEntry[];
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
  readonly [field: string]: unknown;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly empty_layer?: boolean;
}

/** An entry of a docker archive's `manifest.json`. */
export interface ArchiveManifest {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | null;
  readonly Layers: readonly string[];
}

/** Reads the only image of an archive that `docker save`, `buildah push docker-archive:` or `tsbuild save` wrote. */
export async function readImage(archive: string): Promise<Image> {
  const entries = readTar(await readFile(archive));
  const files = new Map(entries.map((entry) => [entry.path, entry]));
  const contentOf = (path: string): Buffer => {
    const entry = files.get(path);
    // Old engines write a layer once and name it by symlinks afterwards.
    if (entry?.type === "symlink") return contentOf(entry.target.replace(/^\.\.\//, ""));
    if (entry === undefined) throw new Error(`${archive} has no ${path}`);
    return entry.content;
  };
  const manifests = JSON.parse(contentOf("manifest.json").toString()) as ArchiveManifest[];
  const [manifest] = manifests;
  if (manifest === undefined || manifests.length > 1) {
    throw new Error(`${archive} holds ${String(manifests.length)} images`);
  }
  return {
    config: JSON.parse(contentOf(manifest.Config).toString()) as ConfigDocument,
    tree: flattenLayers(manifest.Layers.map((layer) => readTar(uncompressed(contentOf(layer))))),
  };
}

function uncompressed(layer: Buffer): Buffer {
  return layer.readUInt16BE(0) === 0x1f8b ? gunzipSync(layer) : layer;
}
