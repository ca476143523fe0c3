import { byteString, bytesOf } from "../byte-strings.ts";
import type { ContentFolder } from "../content-folder.ts";
import { contextError } from "../errors.ts";
import type { FileTree } from "../file-tree.ts";
import { ByteSource, joinRootPath, toRootPath, type RootPath } from "../../layer/index.ts";
import type { Repository } from "./repository.ts";
import { runGit } from "./run-git.ts";

/** A submodule as a commit names it. */
export interface GitLink {
  /** In the tree that was read. */
  readonly path: RootPath;
  /** From the root of the repository, for `.gitmodules`. */
  readonly fullPath: string;
  readonly commit: string;
}

interface Entry {
  readonly mode: string;
  readonly object: string;
  readonly path: RootPath;
}

/**
 * Adds the files of a commit, or of one folder in it, to a tree below `at`; returns the submodules that are still missing
 * there. Git sorts modes into three kinds, whatever a file had: 0644, 0755 and symlinks.
 * @throws CONTEXT_SOURCE_NOT_FOUND when there is no such folder
 */
export async function readCommit(
  source: {
    readonly repository: Repository;
    readonly hash: string;
    readonly subdir: string | undefined;
    /** Nanoseconds since the epoch. */
    readonly mtime: bigint;
  },
  target: { readonly tree: FileTree; readonly contents: ContentFolder; readonly at: RootPath },
): Promise<readonly GitLink[]> {
  const { repository, subdir, mtime } = source;
  const { tree, at } = target;
  const entries = await listEntries(source);
  const targets = await readObjects(
    repository,
    entries.filter(({ mode }) => mode === "120000"),
    async (input, size) => Buffer.from(await input.take(size)),
  );
  const files = await readObjects<FileContent>(
    repository,
    entries.filter(({ mode }) => mode.startsWith("100")),
    async (input, size) => target.contents.write(take(input, size)),
  );
  const links: GitLink[] = [];
  await tree.add(at, { type: "directory" }, { mode: 0o755, mtime });
  for (const { mode, object, path } of entries) {
    const place = joinRootPath(at, path);
    const link = mode === "120000" ? targets.get(object) : undefined;
    const file = mode.startsWith("100") ? files.get(object) : undefined;
    if (link !== undefined)
      await tree.add(place, { type: "symlink", target: link }, { mode: 0o777, mtime });
    else if (file !== undefined)
      await tree.add(
        place,
        { type: "file", ...file },
        { mode: mode === "100755" ? 0o755 : 0o644, mtime },
      );
    else await tree.add(place, { type: "directory" }, { mode: 0o755, mtime });
    if (mode === "160000") {
      const prefix = subdir === undefined ? "" : `${subdir}/`;
      links.push({ path: place, fullPath: prefix + path.toString(), commit: object });
    }
  }
  return links;
}

async function listEntries(source: {
  readonly repository: Repository;
  readonly hash: string;
  readonly subdir: string | undefined;
}): Promise<Entry[]> {
  const { repository, hash, subdir } = source;
  const root = subdir === undefined ? `${hash}^{tree}` : await folderOf(source, subdir);
  const listing = await runGit(repository.localCall(["ls-tree", "-r", "-t", "-z", root]));
  // One character a byte: names need not be UTF-8.
  const lines = byteString(listing).split("\0");
  return lines.filter((line) => line !== "").map(parseEntry);
}

/** `100644 blob <hash>\t<path>`. */
function parseEntry(line: string): Entry {
  const tab = line.indexOf("\t");
  const [mode = "", , object = ""] = line.slice(0, tab).split(" ");
  return { mode, object, path: toRootPath(bytesOf(line.slice(tab + 1))) };
}

async function folderOf(
  source: { readonly repository: Repository; readonly hash: string },
  subdir: string,
): Promise<string> {
  const { repository, hash } = source;
  const listing = await runGit(
    repository.localCall(["--literal-pathspecs", "ls-tree", "-z", hash, "--", subdir]),
  );
  const [entry] = byteString(listing)
    .split("\0")
    .filter((line) => line !== "")
    .map(parseEntry);
  if (entry?.mode === "040000") return entry.object;
  throw contextError(
    "CONTEXT_SOURCE_NOT_FOUND",
    `open folder ${subdir} of the repository: ${entry === undefined ? "not found" : "not a directory"}`,
    { hint: "check what follows the colon behind #", details: { subdir, commit: hash } },
  );
}

type FileContent = Awaited<ReturnType<ContentFolder["write"]>>;

/** Each object once, however many entries it is. */
async function readObjects<Content>(
  repository: Repository,
  entries: readonly Entry[],
  read: (source: ByteSource, size: number) => Promise<Content>,
): Promise<ReadonlyMap<string, Content>> {
  const found = new Map<string, Content>();
  const objects = [...new Set(entries.map(({ object }) => object))];
  if (objects.length === 0) return found;
  const git = repository.start(["cat-file", "--batch"]);
  git.stdin.end(objects.map((object) => `${object}\n`).join(""));
  const source = new ByteSource(git.stdout);
  try {
    for (const object of objects) {
      const size = await readSize(source);
      found.set(object, await read(source, size));
      await source.take(1);
    }
  } catch (error) {
    // When git itself failed, its words say more; when we did, it ends for want of a reader.
    git.stdout.destroy();
    await git.done;
    throw error;
  }
  await git.done;
  return found;
}

/** `<hash> blob <size>\n<bytes>\n`. */
async function readSize(source: ByteSource): Promise<number> {
  const header = await readLine(source);
  const [, type, length] = header.split(" ");
  const size = Number(length);
  if (type === "blob" && Number.isSafeInteger(size)) return size;
  throw contextError("CONTEXT_GIT_FAILED", `read the repository: no content behind "${header}"`, {
    hint: "the copy in the cache is damaged: `tsbuild builder prune` removes it",
  });
}

async function* take(source: ByteSource, size: number): AsyncGenerator<Buffer> {
  for (let left = size; left > 0;) {
    const part = await source.takeSome(left);
    if (part === undefined) {
      throw contextError("CONTEXT_GIT_FAILED", "read the repository: git ended in the middle");
    }
    left -= part.length;
    yield part;
  }
}

async function readLine(source: ByteSource): Promise<string> {
  let line = "";
  for (;;) {
    const byte = source.takeNow(1) ?? (await source.take(1));
    if (byte.length === 0 || byte[0] === 0x0a) return line;
    line += byte.toString("latin1");
  }
}
