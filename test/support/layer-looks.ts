import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  decompress,
  type LayerEntry,
  readLayerTar,
  rootPathToString,
} from "../../src/layer/index.ts";

/**
 * What each layer changes, without times and contents, which RUN makes anew. What is told as it was, time and all, is no
 * change: overlayfs copies up what is opened for writing, a comparison does not. `archive` is an OCI layout; it is unpacked
 * beside itself.
 */
export async function layersOf(archive: string): Promise<string[][]> {
  const place = `${archive}.d`;
  await mkdir(place);
  await promisify(execFile)("tar", ["-C", place, "-xf", archive]);
  const blob = (digest: string): string => join(place, "blobs", digest.replace(":", "/"));
  const read = async (path: string): Promise<{ manifests: Named[]; layers: Named[] }> =>
    JSON.parse(await readFile(path, "utf8")) as { manifests: Named[]; layers: Named[] };
  const [first] = (await read(join(place, "index.json"))).manifests;
  const { layers } = await read(blob(first?.digest ?? ""));
  const looks = new Map<string, string>();
  const told: string[][] = [];
  for (const { digest } of layers) {
    const lines: string[] = [];
    const { content } = await decompress(createReadStream(blob(digest)));
    for await (const entry of readLayerTar(content)) {
      const name = rootPathToString(entry.path);
      const line = lookOf(name, entry);
      const whole = `${line} ${String(entry.mtime)} ${String(entry.size)}`;
      if (looks.get(name) !== whole) lines.push(line);
      looks.set(name, whole);
    }
    told.push(lines.sort());
  }
  return told;
}

interface Named {
  readonly digest: string;
}

function lookOf(name: string, entry: LayerEntry): string {
  const { type, mode, uid, gid, xattrs } = entry;
  const attributes = [...(xattrs ?? [])].map(([key, value]) => ` ${key}=${value.toString("hex")}`);
  return `${name} ${type} ${mode.toString(8)} ${String(uid)}:${String(gid)}${attributes.sort().join("")}`;
}
