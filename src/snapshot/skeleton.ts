import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../core/index.ts";
import { parentRootPath, type RootPath } from "../layer/index.ts";
import { locate } from "./disk.ts";

/** A place for something to be mounted on. */
export interface SkeletonStub {
  readonly path: RootPath;
  readonly type: "file" | "directory";
}

/**
 * A directory in `folder` that holds empty files and directories as mount points, to be mounted below all layers: a stub
 * shows where the image has nothing of that name, there is nothing to clean up, and nothing gets into the layer. Parents
 * are 0755.
 *
 * Nobody can write to it, so all sandboxes of a process that need the same stubs share one. Only this process may make
 * skeletons in `folder`; synchronous, so that none is seen before it is whole.
 */
export function openSkeleton(request: {
  readonly folder: string;
  readonly stubs: readonly SkeletonStub[];
}): string {
  const hash = createHash("sha256");
  for (const { path, type } of request.stubs) hash.update(path).update(`\0${type}\0`);
  const directory = join(request.folder, `skeleton-${hash.digest("hex").slice(0, 32)}`);
  if (existsSync(directory)) return directory;
  try {
    make(directory, request.stubs);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return directory;
}

function make(directory: string, stubs: readonly SkeletonStub[]): void {
  const root = Buffer.from(directory);
  mkdirSync(root, { recursive: true, mode: 0o755 });
  for (const { path, type } of stubs) {
    if (type === "directory") {
      makeDirectories(root, path);
      continue;
    }
    makeDirectories(root, parentRootPath(path) ?? path);
    unlessThere(() => writeFileSync(locate(root, path), "", { flag: "wx", mode: 0o644 }));
  }
}

/** Node's recursive mkdir takes no Buffer. */
function makeDirectories(root: Buffer, path: RootPath): void {
  for (let end = 0; end < path.length;) {
    const slash = path.indexOf(0x2f, end + 1);
    end = slash === -1 ? path.length : slash;
    const directory = locate(root, path.subarray(0, end));
    unlessThere(() => mkdirSync(directory, 0o755));
  }
}

function unlessThere(make: () => void): void {
  try {
    make();
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}
