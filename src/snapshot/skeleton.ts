import { mkdir, writeFile } from "node:fs/promises";
import { errnoOf } from "../core/index.ts";
import { parentRootPath, type RootPath } from "../layer/index.ts";
import { locate } from "./disk.ts";

/** A place for something to be mounted on. */
export interface SkeletonStub {
  readonly path: RootPath;
  readonly type: "file" | "directory";
}

/**
 * Makes `directory` hold empty files and directories as mount points, to be mounted below all layers: a stub shows
 * where the image has nothing of that name, there is nothing to clean up, and nothing gets into the layer. Parents are
 * 0755; what exists stays.
 */
export async function createSkeleton(skeleton: {
  readonly directory: string;
  readonly stubs: readonly SkeletonStub[];
}): Promise<void> {
  const root = Buffer.from(skeleton.directory);
  await mkdir(root, { recursive: true, mode: 0o755 });
  for (const { path, type } of skeleton.stubs) {
    const absolute = locate(root, path);
    if (type === "directory") {
      await makeDirectories(root, path);
      continue;
    }
    await makeDirectories(root, parentRootPath(path) ?? path);
    try {
      await writeFile(absolute, "", { flag: "wx", mode: 0o644 });
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
    }
  }
}

/** Node's recursive mkdir takes no Buffer. */
async function makeDirectories(root: Buffer, path: RootPath): Promise<void> {
  for (let end = 0; end < path.length;) {
    const slash = path.indexOf(0x2f, end + 1);
    end = slash === -1 ? path.length : slash;
    try {
      await mkdir(locate(root, path.subarray(0, end)), 0o755);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
    }
  }
}
