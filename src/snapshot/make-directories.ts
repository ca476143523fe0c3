import { resolvePath, rootPathToString, type MergedTree, type RootPath } from "../layer/index.ts";
import { snapshotError } from "./errors.ts";
import type { TreeWriter } from "./tree-writer.ts";

export interface DirectoryAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
}

/**
 * Makes sure that `path` is a directory, symlinks followed inside the root, and returns where it really lies.
 * Directories that are missing are created with `attributes`; those that exist stay as they are.
 *
 * @throws SNAPSHOT_NOT_A_DIRECTORY when something else is in the way
 */
export async function makeDirectories(request: {
  readonly tree: MergedTree;
  readonly writer: TreeWriter;
  readonly path: RootPath;
  readonly attributes: DirectoryAttributes;
}): Promise<RootPath> {
  const { tree, writer, attributes } = request;
  const path = await resolvePath(tree, request.path, { followLast: true });
  let end = 0;
  while (end < path.length) {
    const slash = path.indexOf("/", end);
    end = slash === -1 ? path.length : slash;
    const directory = path.subarray(0, end);
    const found = await tree.lstat(directory);
    if (found === undefined) await writer.directory(directory, attributes);
    else if (found.type !== "directory") {
      const text = rootPathToString(directory);
      throw snapshotError(
        "SNAPSHOT_NOT_A_DIRECTORY",
        `create directory /${rootPathToString(path)}: /${text} is a ${found.type}`,
        { hint: "remove what is in the way first, or choose another path" },
      );
    }
    end++;
  }
  return path;
}
