import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);

/** An image archive as GNU tar and this file's own reading see it. */
export interface ReadArchive {
  /** Paths of the outer archive. */
  readonly files: readonly string[];
  readonly index: {
    readonly manifests: readonly {
      readonly mediaType: string;
      readonly digest: string;
      readonly annotations?: Readonly<Record<string, string>>;
    }[];
  };
  readonly config: {
    readonly author?: string;
    readonly history: readonly { readonly created_by: string; readonly empty_layer?: boolean }[];
    readonly rootfs: { readonly diff_ids: readonly string[] };
    readonly config: Readonly<Record<string, unknown>>;
  };
  /** Bottom first. */
  readonly layers: readonly { readonly digest: string; readonly entries: readonly string[] }[];
}

/** Opens what `save` or `-o type=oci` wrote, by tar(1) alone; the first manifest of its index.json. */
export async function readArchive(archive: string): Promise<ReadArchive> {
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-archive-"));
  try {
    await exec("tar", ["-xf", archive, "-C", folder]);
    const { stdout } = await exec("tar", ["-tf", archive]);
    const read = async <T>(name: string): Promise<T> =>
      JSON.parse(await readFile(join(folder, name), "utf8")) as T;
    const index = await read<ReadArchive["index"]>("index.json");
    const manifest = await read<{
      config: { digest: string };
      layers: { digest: string }[];
    }>(blobPath(index.manifests[0]?.digest));
    const layers = [];
    for (const { digest } of manifest.layers) {
      const listed = await exec("tar", ["-tf", join(folder, blobPath(digest))]);
      layers.push({ digest, entries: linesOf(listed.stdout) });
    }
    const config = await read<ReadArchive["config"]>(blobPath(manifest.config.digest));
    return { files: linesOf(stdout), index, config, layers };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function blobPath(digest: string | undefined): string {
  if (digest === undefined) throw new Error("the archive names no manifest");
  return `blobs/${digest.replace(":", "/")}`;
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
