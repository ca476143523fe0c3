import { isTsbuildError } from "../core/index.ts";
import {
  openTarOrBytes,
  tellEntry,
  toRootPath,
  type LayerEntryWithContent,
} from "../layer/index.ts";
import { ContentFolder } from "./content-folder.ts";
import { contextError } from "./errors.ts";
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
 * @throws CONTEXT_ARCHIVE_INVALID with the reason in its words; LAYER_COMPRESSION_UNSUPPORTED, DISK_FULL
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
  try {
    for await (const entry of opened.entries) {
      options.signal?.throwIfAborted();
      await addEntry(tree, entry, contents).catch((error: unknown) => {
        throw tellEntry(error, entry.path);
      });
      if (entry.type === "file" && (newest === undefined || entry.mtime > newest))
        newest = entry.mtime;
    }
  } catch (error) {
    throw explained(error, options.label);
  }
  const seconds = newest === undefined ? undefined : Number(newest / 1_000_000_000n);
  return { type: "tree", tree, newest: seconds };
}

/** Whoever reads of a tar should know which one. */
function explained(error: unknown, label: string): unknown {
  if (!isTsbuildError(error) || !error.code.startsWith("LAYER_")) return error;
  if (error.code === "LAYER_COMPRESSION_UNSUPPORTED") return error;
  return contextError(
    "CONTEXT_ARCHIVE_INVALID",
    `unpack the build context from ${label}: ${error.message}`,
    { hint: error.hint ?? "make the archive again", details: error.details, cause: error },
  );
}

/** A context that holds one file, owned by root, mode 0600; or nothing. */
export async function openSmallContext(
  options: TarContextOptions,
  file?: { readonly name: string; readonly bytes: Buffer },
): Promise<FileTree> {
  const tree = new FileTree(options.label);
  if (file === undefined) return tree;
  const content = await new ContentFolder(options.folder).write([file.bytes]);
  await tree.add(toRootPath(file.name), { type: "file", ...content }, { mode: 0o600 });
  return tree;
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
