import { join } from "node:path";
import { digestHex, digestOf, digestOfJson, type GitReference } from "../../core/index.ts";
import { rootPath, rootPathToString, type MergedTree, type RootPath } from "../../layer/index.ts";
import { ContentFolder } from "../content-folder.ts";
import { contextError } from "../errors.ts";
import { FileTree } from "../file-tree.ts";
import { authorizationFor } from "./authorization.ts";
import { addGitDir, readCommitTime } from "./git-dir.ts";
import { readCommit, type GitLink } from "./read-commit.ts";
import { checkCommit, Repository } from "./repository.ts";
import { readSubmodules, submoduleRemote, type SubmoduleRemote } from "./submodules.ts";
import type { GitCommit, GitCredentials, GitRepositories } from "./types.ts";

/** A chain of submodules in submodules that is longer is nobody's honest work. */
const maxDepth = 20;

export interface GitRepositoriesOptions {
  /** Folder for the bare repositories, one a remote; any number of processes may share it. */
  readonly directory: string;
  /** Folder for the contents of trees; the caller removes it when the build is over. */
  readonly tmpDir: string;
  readonly credentials: GitCredentials;
  /** An exclusive lock by name across processes. */
  readonly lock: <T>(name: string, work: () => Promise<T>, signal?: AbortSignal) => Promise<T>;
}

/** See `GitRepositories`. Opening does nothing yet. */
export function openGitRepositories(options: GitRepositoriesOptions): GitRepositories {
  return new SharedRepositories(options);
}

class SharedRepositories implements GitRepositories {
  readonly #options: GitRepositoriesOptions;
  readonly #commits = new Map<string, Promise<GitCommit>>();
  readonly #trees = new Map<string, Promise<MergedTree>>();
  #folders = 0;

  constructor(options: GitRepositoriesOptions) {
    this.#options = options;
  }

  async resolve(reference: GitReference, signal?: AbortSignal): Promise<GitCommit> {
    const { remote, credentials, ref, checksum, fetchByCommit } = reference;
    if (fetchByCommit === true && checksum !== undefined) return byChecksum(reference, checksum);
    const key = digestOfJson([remote, credentials ?? null, ref ?? null]);
    let commit = this.#commits.get(key);
    if (commit === undefined) {
      commit = this.#repository(reference, { signal }).then((each) => each.resolve(ref));
      this.#commits.set(key, commit);
    }
    return checkCommit(await commit, reference);
  }

  async open(reference: GitReference, signal?: AbortSignal): Promise<MergedTree> {
    const { hash } = await this.resolve(reference, signal);
    const { remote, subdir, keepGitDir, submodules } = reference;
    const key = digestOfJson([
      remote,
      hash,
      subdir ?? null,
      keepGitDir ?? false,
      submodules ?? true,
    ]);
    let tree = this.#trees.get(key);
    if (tree === undefined) {
      tree = this.#readTree(reference, signal);
      this.#trees.set(key, tree);
    }
    return tree;
  }

  async commitTime(reference: GitReference, signal?: AbortSignal): Promise<number> {
    const commit = await this.resolve(reference, signal);
    const repository = await this.#repository(reference, { signal });
    await repository.fetch(commit);
    return readCommitTime(repository, commit.hash);
  }

  async #readTree(reference: GitReference, signal: AbortSignal | undefined): Promise<FileTree> {
    const { remote, subdir, keepGitDir = false, submodules = true } = reference;
    const commit = await this.resolve(reference, signal);
    const repository = await this.#repository(reference, { signal });
    await repository.fetch(commit);
    const mtime = BigInt(await readCommitTime(repository, commit.hash)) * 1_000_000_000n;
    const folder = this.#newFolder();
    const target = {
      tree: new FileTree(remote),
      contents: new ContentFolder(join(folder, "files")),
      mtime,
      host: hostOf(remote),
      signal,
    };
    const source = { repository, remote: reference, hash: commit.hash, subdir };
    await this.#addCommit(source, { ...target, at: rootPath, depth: 0, submodules });
    if (keepGitDir && subdir === undefined) {
      const gitFolder = join(folder, "git");
      await addGitDir(target.tree, { ...target, repository, remote, commit, folder: gitFolder });
    }
    return target.tree;
  }

  async #addCommit(source: CommitSource, target: CommitTarget): Promise<void> {
    const { repository, hash, subdir } = source;
    const links = await readCommit({ repository, hash, subdir, mtime: target.mtime }, target);
    if (!target.submodules || links.length === 0) return;
    const urls = await readSubmodules(repository, hash);
    for (const link of links) {
      const url = urls.get(link.fullPath);
      // Without an entry in .gitmodules nobody knows what it is: git leaves the directory empty.
      if (url !== undefined) await this.#addSubmodule({ ...source, link, url }, target);
    }
  }

  async #addSubmodule(
    source: CommitSource & { readonly link: GitLink; readonly url: string },
    target: CommitTarget,
  ): Promise<void> {
    const { link, url } = source;
    const path = rootPathToString(link.path);
    if (target.depth >= maxDepth) {
      throw contextError(
        "CONTEXT_GIT_FAILED",
        `fetch submodule ${path}: submodules lie in each other too deep`,
        { hint: "`?submodules=false` leaves submodules out", details: { path } },
      );
    }
    const remote = submoduleRemote(url, source.remote, path);
    const repository = await this.#repository(remote, target);
    await repository.fetch({ hash: link.commit, ref: undefined });
    await this.#addCommit(
      { repository, remote, hash: link.commit, subdir: undefined },
      { ...target, at: link.path, depth: target.depth + 1 },
    );
  }

  async #repository(
    source: SubmoduleRemote,
    place: { readonly host?: string | undefined; readonly signal: AbortSignal | undefined },
  ): Promise<Repository> {
    const { directory, credentials, lock } = this.#options;
    const { remote } = source;
    const { signal } = place;
    const name = digestHex(digestOf(remote));
    const isMain = place.host === undefined || place.host === hostOf(remote);
    return new Repository({
      remote,
      config: await authorizationFor(source, { credentials, isMain }),
      agentSocket: isSsh(remote) ? await credentials.agentSocket?.() : undefined,
      directory: join(directory, name),
      knownHosts: join(directory, "known_hosts"),
      lock: (work) => lock(`git:${name}`, work, signal),
      signal,
    });
  }

  #newFolder(): string {
    this.#folders += 1;
    return join(this.#options.tmpDir, `git-${String(this.#folders)}`);
  }
}

interface CommitSource {
  readonly repository: Repository;
  readonly remote: SubmoduleRemote;
  readonly hash: string;
  readonly subdir: string | undefined;
}

interface CommitTarget {
  readonly tree: FileTree;
  readonly contents: ContentFolder;
  readonly at: RootPath;
  readonly mtime: bigint;
  readonly depth: number;
  readonly submodules: boolean;
  /** Of the repository that was asked for: only it gets what is meant for no host in particular. */
  readonly host: string;
  readonly signal: AbortSignal | undefined;
}

function byChecksum({ remote, ref }: GitReference, checksum: string): GitCommit {
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(checksum)) {
    const branch = ref === undefined || ref.startsWith("refs/") ? ref : `refs/heads/${ref}`;
    return { hash: checksum.toLowerCase(), ref: branch };
  }
  throw contextError(
    "CONTEXT_GIT_CHECKSUM",
    `fetch ${remote}: fetch-by-commit requires a full commit SHA checksum, got ${checksum}`,
    { hint: "give all digits of the hash", details: { found: checksum } },
  );
}

function isSsh(remote: string): boolean {
  return !/^(?:https?|git):/.test(remote);
}

function hostOf(remote: string): string {
  if (URL.canParse(remote)) return new URL(remote).host;
  return /@([^:]+):/.exec(remote)?.[1] ?? remote;
}
