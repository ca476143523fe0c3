import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { exportMounts, type MountExport, type TravelLimits } from "../../src/cache-mounts/index.ts";
import { readMountSet } from "../../src/cache-mounts/mount-set.ts";
import { copyGraph } from "../../src/image/index.ts";
import { cacheMountKey } from "../../src/store/index.ts";
import type { MemoryPlace } from "./memory-place.ts";
import { pseudoRandom } from "./random.ts";

/** Bytes that no compression makes smaller, the same for the same seed. */
export function noise(size: number, seed: number): Buffer {
  const random = pseudoRandom(seed);
  const words = Uint32Array.from({ length: Math.ceil(size / 4) }, () => random() * 2 ** 32);
  return Buffer.from(words.buffer).subarray(0, size);
}

export function putFiles(
  directory: string,
  files: Readonly<Record<string, string | Buffer>>,
): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
}

/** What GNU find says of a directory: types, modes, owners, times and links, and digests of contents. */
export function describeTree(directory: string): string {
  const run = (command: string): string =>
    execFileSync("sh", ["-ec", command], { cwd: directory, encoding: "utf8" });
  const nodes = run(`find . -printf '%y %m %U:%G %T@ %n %p -> %l\\n' | LC_ALL=C sort -k6`);
  return nodes + run(`find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum`);
}

export const keyOf = (id: string): string => cacheMountKey({ id });

/** Exports directories, by id, to a place in memory as the name `c`, upon what is there. */
export async function exportTo(
  place: MemoryPlace,
  directories: Readonly<Record<string, string>>,
  options: { readonly tmpDir: string; readonly limits?: TravelLimits; readonly packSize?: number },
): Promise<MountExport> {
  const signal = new AbortController().signal;
  const root = await place.resolve("c");
  const set = root === undefined ? undefined : await readMountSet({ source: place, root });
  const exported = await exportMounts({
    mounts: Object.entries(directories).map(([id, directory]) => ({
      ...{ key: keyOf(id), name: { id }, directory },
    })),
    limits: options.limits ?? {},
    previous: set === undefined ? undefined : { set, source: place },
    sink: place,
    tmpDir: options.tmpDir,
    packSize: options.packSize,
    signal,
  });
  await copyGraph({ source: exported.source, sink: place, root: exported.root });
  await place.tag("c", exported.root);
  return exported;
}
