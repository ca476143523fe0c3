import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestHex, digestOf, type Digest } from "../../src/core/index.ts";

/** The config document of a cache, as it lies in a layout. */
export interface CacheDocument {
  readonly layers: readonly { readonly diffId: Digest; readonly digest: Digest }[];
  readonly states: readonly {
    readonly parent?: number;
    readonly diffId: Digest;
    readonly created?: string;
  }[];
  readonly records: readonly {
    readonly key: Digest;
    readonly state: number;
    readonly platform?: string;
  }[];
}

interface Entry {
  digest: Digest;
  size: number;
}

/** Writes another document into a cache in a directory, and everything above it anew: whole, and not true. */
export async function changeCacheDocument(
  directory: string,
  change: (document: CacheDocument) => unknown,
): Promise<void> {
  const pathOf = (digest: Digest): string => join(directory, "blobs/sha256", digestHex(digest));
  const read = async <T>(path: string): Promise<T> => JSON.parse(await readFile(path, "utf8")) as T;
  const write = async (value: unknown): Promise<Entry> => {
    const bytes = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
    const digest = digestOf(bytes);
    await writeFile(pathOf(digest), bytes);
    return { digest, size: bytes.length };
  };
  const index = await read<{ manifests: Entry[] }>(join(directory, "index.json"));
  const [entry] = index.manifests;
  if (entry === undefined) throw new Error("there is no cache");
  const manifest = await read<{ config: Entry }>(pathOf(entry.digest));
  const document = await read<CacheDocument>(pathOf(manifest.config.digest));
  const config = { ...manifest.config, ...(await write(change(document))) };
  Object.assign(entry, await write({ ...manifest, config }));
  await writeFile(join(directory, "index.json"), JSON.stringify(index));
}
