import { createReadStream } from "node:fs";
import {
  joinRootPath,
  openIfTar,
  parentRootPath,
  resolvePath,
  rootPath,
  rootPathToString,
  type LayerEntryWithContent,
  type MergedTree,
  type RootPath,
} from "../layer/index.ts";
import { makeDirectories } from "../snapshot/index.ts";
import type { CopyTarget } from "./copy-tree.ts";
import { buildError } from "./errors.ts";

/**
 * ADD of a local file that is a tar, plain or compressed: unpacks it into the destination, which is a directory then.
 * Entries keep mode, owner and time of the archive; `--chown` goes over all of them, `--chmod` over none. False when the
 * file is something else.
 */
export async function unpackArchive(
  target: CopyTarget,
  source: { readonly tree: MergedTree; readonly path: RootPath },
): Promise<boolean> {
  const path = await resolvePath(source.tree, source.path, { followLast: true });
  if ((await source.tree.lstat(path))?.type !== "file") return false;
  const opened = await source.tree.openFile(path);
  try {
    const input = createReadStream("", { fd: opened.fd, autoClose: false, start: 0 });
    const entries = await openIfTar(input);
    if (entries === undefined) return false;
    const { tree, writer, created } = target;
    const base = await makeDirectories({
      tree,
      writer,
      path: Buffer.from(target.destination),
      attributes: created,
    });
    for await (const entry of entries) await unpackEntry({ target, base }, entry);
    return true;
  } finally {
    await opened.close();
  }
}

interface Place {
  readonly target: CopyTarget;
  /** Where the archive's root goes. */
  readonly base: RootPath;
}

async function unpackEntry(place: Place, entry: LayerEntryWithContent): Promise<void> {
  const { tree, writer, owner, signal } = place.target;
  signal.throwIfAborted();
  if (entry.path.length === 0) return;
  const path = await locate(place, entry.path);
  const { mode, uid, gid, mtime, xattrs } = entry;
  const attributes = {
    mode,
    uid,
    gid,
    mtime,
    ...(xattrs === undefined ? {} : { xattrs }),
    ...owner,
  };
  const existing = await tree.lstat(path);
  if (existing?.type === "directory" && entry.type !== "directory") {
    throw buildError(
      "BUILD_COPY_CONFLICT",
      `unpack ${rootPathToString(entry.path)}: a directory is in its place`,
      { hint: "remove the directory in an earlier step, or choose another destination" },
    );
  }
  switch (entry.type) {
    case "directory":
      return writer.directory(path, attributes);
    case "file":
      return writer.file(path, attributes, entry.open?.() ?? Buffer.alloc(0));
    case "symlink":
      return writer.symlink(path, attributes, entry.linkTarget ?? Buffer.alloc(0));
    case "hardlink":
      return writer.hardlink(path, await locate(place, entry.linkTarget ?? Buffer.alloc(0)));
    case "char-device":
    case "block-device":
      return writer.device(path, attributes, {
        type: entry.type,
        major: entry.devMajor ?? 0,
        minor: entry.devMinor ?? 0,
      });
    case "fifo":
      return writer.fifo(path, attributes);
  }
}

/** An entry's place: symlinks on the way, planted by the image or by the archive, are followed inside the root. */
async function locate(place: Place, path: RootPath): Promise<RootPath> {
  const { tree, writer, created } = place.target;
  const wanted = joinRootPath(place.base, path);
  const resolved = await resolvePath(tree, wanted, { followLast: false });
  const parent = parentRootPath(resolved) ?? rootPath;
  await makeDirectories({ tree, writer, path: parent, attributes: created });
  return resolved;
}
