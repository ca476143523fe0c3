import { randomBytes } from "node:crypto";
import { chmod, chown, rename, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { rootPathToString } from "../../layer/index.ts";
import type { ExecMount } from "../../plan/index.ts";
import { openTreeWriter } from "../../snapshot/index.ts";
import { copySource } from "../copy-tree.ts";
import { EarlySync } from "../early-sync.ts";
import { findSource, openInput } from "./mount-input.ts";
import type { MountPlace } from "./step-mounts.ts";

/**
 * Gives a new cache, the empty `directory`, what its mount says: the content behind `from` and `source`, and its looks.
 * @throws CONTEXT_SOURCE_NOT_FOUND
 */
export async function fillCache(
  mount: Extract<ExecMount, { type: "cache" }>,
  place: MountPlace & { readonly directory: string },
): Promise<void> {
  const { directory } = place;
  const found = mount.input === undefined ? undefined : await copyContent(mount, place);
  const { mode, uid, gid } = mount;
  const given = mode ?? uid ?? gid;
  if (given === undefined && found === undefined) return;
  await chown(directory, uid ?? found?.uid ?? 0, gid ?? found?.gid ?? 0);
  await chmod(directory, mode ?? found?.mode ?? 0o755);
}

/** Written as a layer on nothing, which is a plain directory. Answers the looks of what it copied. */
async function copyContent(
  mount: Extract<ExecMount, { type: "cache" }>,
  { request, scratch, directory }: MountPlace & { readonly directory: string },
): Promise<{ readonly mode: number; readonly uid: number; readonly gid: number } | undefined> {
  const { snapshots, store, signal, implicitTime: mtime } = request.environment;
  const { tree } = await openInput(mount.input ?? 0, request);
  const { path } = await findSource(tree, mount.source);
  const draft = join(scratch, `cache-${randomBytes(6).toString("hex")}`);
  const active = await snapshots.prepare(undefined, { directory: draft });
  try {
    const writer = openTreeWriter(active);
    const target = {
      tree: active.tree,
      writer,
      destination: "/content",
      owner: undefined,
      changeMode: undefined,
      created: { mode: 0o755, uid: 0, gid: 0, mtime },
      exclude: [],
      sync: new EarlySync(store),
      signal,
    };
    await copySource(target, { tree, path });
    await writer.finish();
    await rmdir(directory);
    await rename(join(active.directory, "content"), directory);
  } finally {
    await snapshots.abandon(active);
  }
  const stat = await tree.lstat(path);
  if (stat === undefined) throw new Error(`${rootPathToString(path)} is gone`);
  return { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
}
