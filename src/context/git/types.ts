import type { GitReference } from "../../core/index.ts";
import type { MergedTree } from "../../layer/index.ts";

/** The commit that a reference stands for now. */
export interface GitCommit {
  readonly hash: string;
  /** Full name of the branch or tag it was reached by; undefined when the commit itself was named. */
  readonly ref: string | undefined;
}

/**
 * Files of git repositories. What is fetched stays in one bare repository a remote, shared by processes, and is never
 * checked out by git: trees are read object by object, so that no hook, filter or attribute of a repository has a say.
 *
 * ```ts
 * const commit = await repositories.resolve(reference, signal); // one question to the remote
 * const tree = await repositories.open(reference, signal);      // fetches what is not here yet
 * ```
 */
export interface GitRepositories {
  /**
   * Asks the remote, once a reference and build. Nothing is asked for a commit that is named by its whole hash.
   * @throws CONTEXT_GIT_MISSING, CONTEXT_GIT_FAILED, CONTEXT_GIT_REF_NOT_FOUND, CONTEXT_GIT_CHECKSUM
   */
  resolve(reference: GitReference, signal?: AbortSignal): Promise<GitCommit>;
  /**
   * The files at that commit: 0644, 0755 or symlinks, owned by root, as old as the commit, submodules included.
   * @throws what `resolve` throws; CONTEXT_SOURCE_NOT_FOUND for a folder that is not there; DISK_FULL
   */
  open(reference: GitReference, signal?: AbortSignal): Promise<MergedTree>;
  /** When the commit was made, in seconds. @throws what `resolve` throws */
  commitTime(reference: GitReference, signal?: AbortSignal): Promise<number>;
}

/** Who we are to a remote. */
export interface GitCredentials {
  /** A secret by its id; undefined when there is none. */
  readonly secret?: ((id: string) => Promise<Uint8Array | undefined>) | undefined;
  /** Path of an ssh agent's socket, asked for when a remote is reached by ssh; undefined when there is none. */
  readonly agentSocket?: (() => Promise<string | undefined>) | undefined;
}
