import { openTarOrBytes, type LayerEntryWithContent } from "../layer/index.ts";
import { ContentFolder } from "./content-folder.ts";
import { FileTree, type NodeLooks } from "./file-tree.ts";

export interface TarContextOptions {
  /** Folder for the contents: not there yet, and removed by the caller when the build is over. */
  readonly folder: string;
  /** How messages name the context. */
  readonly label: string;
  readonly signal?: AbortSignal | undefined;
}

/** What came in a stream: an archive as a tree, or, when it is none, the bytes themselves, which nobody has read yet. */
export type StreamContext =
  | {
      readonly type: "tree";
      readonly tree: FileTree;
      /** Time of the newest file, in seconds; undefined without files. */
      readonly newest: number | undefined;
    }
  | { readonly type: "bytes"; readonly content: AsyncIterable<Uint8Array> };

/**
 * A build context in a tar, of any compression, told by its content. Entries keep owner, mode and time of the archive.
 * @throws LAYER_TRUNCATED, LAYER_HEADER_INVALID, LAYER_PATH_ESCAPES and what else a broken archive is refused with;
 *   CONTEXT_ARCHIVE_INVALID, DISK_FULL
 */
export async function openStreamContext(
  input: AsyncIterable<Uint8Array>,
  options: TarContextOptions,
): Promise<StreamContext> {
  const opened = await openTarOrBytes(input);
  if (opened.type === "bytes") return opened;
  const tree = new FileTree(options.label);
  const contents = new ContentFolder(options.folder);
  let newest: bigint | undefined;
  for await (const entry of opened.entries) {
    options.signal?.throwIfAborted();
    await addEntry(tree, entry, contents);
    if (entry.type === "file" && (newest === undefined || entry.mtime > newest))
      newest = entry.mtime;
  }
  const seconds = newest === undefined ? undefined : Number(newest / 1_000_000_000n);
  return { type: "tree", tree, newest: seconds };
}

async function addEntry(
  tree: FileTree,
  entry: LayerEntryWithContent,
  contents: ContentFolder,
): Promise<void> {
  const { path, mode, uid, gid, mtime, xattrs } = entry;
  const looks: NodeLooks = { mode, uid, gid, mtime, ...(xattrs === undefined ? {} : { xattrs }) };
  switch (entry.type) {
    case "directory":
    case "fifo":
      return tree.add(path, { type: entry.type }, looks);
    case "file": {
      const small = entry.read?.();
      const file = await contents.write(small === undefined ? (entry.open?.() ?? []) : [small]);
      return tree.add(path, { type: "file", ...file }, looks);
    }
    case "symlink":
      return tree.add(
        path,
        { type: "symlink", target: entry.linkTarget ?? Buffer.alloc(0) },
        looks,
      );
    case "hardlink":
      return tree.link(path, entry.linkTarget ?? Buffer.alloc(0));
    case "char-device":
    case "block-device": {
      const { devMajor: major = 0, devMinor: minor = 0 } = entry;
      return tree.add(path, { type: entry.type, major, minor }, looks);
    }
  }
}
