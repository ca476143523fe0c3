import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { toRootPath } from "../../layer/index.ts";
import type { FileTree } from "../file-tree.ts";
import { keptRef, type Repository } from "./repository.ts";
import { runGit } from "./run-git.ts";
import type { GitCommit } from "./types.ts";

/**
 * Adds a `.git` to a tree that holds a commit's files: a repository with this one commit, on its branch where it was
 * reached by one, whose origin is the remote without credentials. It is made in `folder`, which must not exist yet.
 */
export async function addGitDir(
  tree: FileTree,
  source: {
    readonly repository: Repository;
    readonly remote: string;
    readonly commit: GitCommit;
    readonly folder: string;
    readonly mtime: bigint;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { repository, remote, commit, folder, signal } = source;
  const gitDir = join(folder, ".git");
  const run = async (...args: readonly string[]): Promise<void> => {
    await runGit({ args, gitDir, signal, purpose: `make .git of ${remote}`, protocols: "file" });
  };
  const format = commit.hash.length === 64 ? ["--object-format=sha256"] : [];
  await runGit({
    args: ["init", "--quiet", "--template=", ...format, folder],
    purpose: `make .git of ${remote}`,
    signal,
  });
  const from = `file://${encodeURI(repository.directory)}`;
  const quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1"];
  await run("fetch", ...quiet, "--", from, keptRef(commit));
  if (commit.ref !== undefined) await run("update-ref", commit.ref, commit.hash);
  if (commit.ref?.startsWith("refs/heads/") === true) await run("symbolic-ref", "HEAD", commit.ref);
  else await run("update-ref", "--no-deref", "HEAD", commit.hash);
  await run("config", "remote.origin.url", remote);
  await run("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*");
  await run("read-tree", "HEAD");
  await addFolder(tree, { folder, name: ".git", mtime: source.mtime });
}

async function addFolder(
  tree: FileTree,
  source: { readonly folder: string; readonly name: string; readonly mtime: bigint },
): Promise<void> {
  const { folder, name, mtime } = source;
  await tree.add(toRootPath(name), { type: "directory" }, { mode: 0o755, mtime });
  const entries: readonly Dirent[] = await readdir(join(folder, name), { withFileTypes: true });
  for (const entry of entries) {
    const below = `${name}/${entry.name}`;
    if (entry.isDirectory()) await addFolder(tree, { folder, name: below, mtime });
    else {
      const path = join(folder, below);
      const { size } = await stat(path);
      await tree.add(toRootPath(below), { type: "file", path, size }, { mode: 0o644, mtime });
    }
  }
}

/** The commit's own time, in seconds. */
export async function readCommitTime(repository: Repository, hash: string): Promise<number> {
  const text = (await runGit(repository.localCall(["cat-file", "commit", hash]))).toString();
  const seconds = /^committer .*> (-?\d+) [-+]\d+$/m.exec(text)?.[1];
  return Number(seconds ?? 0);
}
