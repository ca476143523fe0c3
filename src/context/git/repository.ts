import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isCommitHash, isTsbuildError, type GitReference } from "../../core/index.ts";
import { contextError } from "../errors.ts";
import { sweepLeftovers } from "./leftovers.ts";
import { runGit, startGit, type GitCall, type RunningGit } from "./run-git.ts";
import type { GitCommit } from "./types.ts";

export interface RepositoryOptions {
  /** Without password. */
  readonly remote: string;
  /** Settings that say who we are to the remote. */
  readonly config: readonly (readonly [string, string])[];
  readonly agentSocket: string | undefined;
  /** Where the bare repository lies, or will; shared by processes. */
  readonly directory: string;
  readonly knownHosts: string;
  /** Runs work while no one else changes the repository. */
  readonly lock: <T>(work: () => Promise<T>) => Promise<T>;
  readonly signal: AbortSignal | undefined;
}

/** One remote, and the bare repository in which its commits are kept. */
export class Repository {
  readonly #options: RepositoryOptions;

  constructor(options: RepositoryOptions) {
    this.#options = options;
  }

  /** What `ref` stands for now. @throws CONTEXT_GIT_REF_NOT_FOUND, CONTEXT_GIT_FAILED */
  async resolve(ref: string | undefined): Promise<GitCommit> {
    const { remote } = this.#options;
    if (ref !== undefined && isCommitHash(ref)) return { hash: ref.toLowerCase(), ref: undefined };
    if (ref?.startsWith("-") === true) throw refNotFound(remote, ref);
    const purpose = `look up ${ref ?? "the default branch"} in ${remote}`;
    const patterns = ref === undefined ? ["HEAD"] : [ref, `${ref}^{}`];
    const answer = await this.#network({
      args: ["ls-remote", "--symref", "--", remote, ...patterns],
      purpose,
    });
    const lines = answer.toString("utf8").split("\n");
    const refs = new Map(lines.map((line) => line.split("\t").reverse() as [string, string]));
    const found = ref === undefined ? defaultBranch(lines, refs) : chooseRef(ref, refs);
    if (found === undefined) throw refNotFound(remote, ref ?? "HEAD");
    return found;
  }

  /** Brings the commit here, as shallow as the server allows. Does nothing when it is here. */
  async fetch(commit: GitCommit): Promise<void> {
    const { directory, lock } = this.#options;
    if (await this.#has(commit)) return;
    await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
    await lock(async () => {
      // Another process may have been faster.
      if (await this.#has(commit)) return;
      await sweepLeftovers(directory);
      try {
        await this.#fetchAlone(commit);
      } catch (error) {
        await sweepLeftovers(directory);
        throw error;
      }
    });
  }

  async #fetchAlone(commit: GitCommit): Promise<void> {
    const { directory } = this.#options;
    const format = commit.hash.length === 64 ? ["--object-format=sha256"] : [];
    await this.#local(["init", "--quiet", "--bare", "--template=", ...format, directory]);
    await this.#download(commit);
    // A power cut may have left the mark empty, which git takes for an error.
    await rm(join(directory, keptRef(commit)), { force: true });
    await this.#local(["update-ref", keptRef(commit), commit.hash]);
  }

  /** Runs git in the bare repository, without any remote. */
  async #local(args: readonly string[]): Promise<Buffer> {
    return runGit(this.localCall(args));
  }

  localCall(args: readonly string[]): GitCall {
    const { directory: gitDir, signal, remote } = this.#options;
    return { args, gitDir, signal, purpose: `read the repository of ${remote}` };
  }

  start(args: readonly string[]): RunningGit {
    return startGit(this.localCall(args));
  }

  get directory(): string {
    return this.#options.directory;
  }

  /** Whether the commit came here as a whole once: its mark is set last. */
  async #has(commit: GitCommit): Promise<boolean> {
    return this.#succeeds(["rev-parse", "--verify", "--quiet", `${keptRef(commit)}^{commit}`]);
  }

  async #succeeds(args: readonly string[]): Promise<boolean> {
    try {
      await this.#local(args);
      return true;
    } catch (error) {
      if (isTsbuildError(error, "CONTEXT_GIT_FAILED")) return false;
      throw error;
    }
  }

  /**
   * The commit alone, if the server gives single commits; else what its ref leads to; else everything. Servers without
   * git of their own (files behind http) know neither shallow fetches nor commits by hash.
   */
  async #download(commit: GitCommit): Promise<void> {
    const wanted = commit.ref === undefined ? [] : [commit.ref];
    const attempts = [
      ["--depth=1", commit.hash],
      ...wanted.map((ref) => ["--depth=1", ref]),
      ...wanted,
      ["+refs/heads/*:refs/remote/heads/*", "+refs/tags/*:refs/remote/tags/*"],
    ];
    let failure: Error | undefined;
    for (const attempt of attempts) {
      try {
        await this.#fetchBy([attempt].flat());
      } catch (error) {
        if (!isTsbuildError(error, "CONTEXT_GIT_FAILED")) throw error;
        failure ??= error;
        continue;
      }
      if (await this.#succeeds(["cat-file", "-e", `${commit.hash}^{commit}`])) return;
    }
    const { remote } = this.#options;
    if (failure !== undefined && commit.ref !== undefined) throw failure;
    throw refNotFound(remote, commit.hash, failure);
  }

  async #fetchBy(words: readonly string[]): Promise<void> {
    const { remote } = this.#options;
    const options = words.filter((word) => word.startsWith("--"));
    const refs = words.filter((word) => !word.startsWith("--"));
    const quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
    const args = ["fetch", ...quiet, ...options, "--", remote, ...refs];
    await this.#network({ args, purpose: `fetch ${remote}`, gitDir: this.#options.directory });
  }

  async #network(call: Pick<GitCall, "args" | "purpose" | "gitDir">): Promise<Buffer> {
    const { config, agentSocket, knownHosts, signal } = this.#options;
    await mkdir(dirname(knownHosts), { recursive: true, mode: 0o700 });
    return runGit({ ...call, config, agentSocket, knownHosts, signal, protocols: "network" });
  }
}

/** Keeps a commit from git's own garbage collection, and says that it is here in whole. */
export function keptRef({ hash }: GitCommit): string {
  return `refs/tsbuild/${hash}`;
}

function defaultBranch(
  lines: readonly string[],
  refs: ReadonlyMap<string, string>,
): GitCommit | undefined {
  const hash = refs.get("HEAD");
  if (hash === undefined || !isCommitHash(hash)) return undefined;
  const symbolic = lines.find((line) => line.startsWith("ref: "));
  return { hash, ref: symbolic?.slice("ref: ".length).split("\t")[0] };
}

/** As git checkout does, a branch is preferred to a tag of the same name; a tag means the commit that it names. */
function chooseRef(ref: string, refs: ReadonlyMap<string, string>): GitCommit | undefined {
  const names = [
    `refs/${ref.replace(/^refs\//, "")}`,
    `refs/heads/${ref.replace(/^refs\/heads\//, "")}`,
    `refs/tags/${ref.replace(/^refs\/tags\//, "")}`,
  ];
  const name = names.find((each) => refs.has(each));
  const hash = name === undefined ? undefined : (refs.get(`${name}^{}`) ?? refs.get(name));
  return hash === undefined || !isCommitHash(hash) ? undefined : { hash, ref: name };
}

function refNotFound(remote: string, ref: string, cause?: unknown): Error {
  return contextError(
    "CONTEXT_GIT_REF_NOT_FOUND",
    `look up ${ref} in ${remote}: repository does not contain ref ${ref}`,
    {
      hint: "name a branch, a tag, or a commit by its whole hash",
      details: { remote, ref },
      cause,
    },
  );
}

/** @throws CONTEXT_GIT_CHECKSUM when the commit is not the one that the reference promises */
export function checkCommit(commit: GitCommit, { checksum, remote }: GitReference): GitCommit {
  if (checksum === undefined) return commit;
  const isHash = /^[0-9a-f]+$/i.test(checksum);
  if (isHash && commit.hash.startsWith(checksum.toLowerCase())) return commit;
  const problem = isHash
    ? `expected checksum to match ${checksum}, got ${commit.hash}`
    : `invalid checksum ${checksum} for Git URL, expected hex commit hash`;
  throw contextError("CONTEXT_GIT_CHECKSUM", `fetch ${remote}: ${problem}`, {
    hint: isHash
      ? "the branch or tag has moved, or the checksum is another commit's"
      : "give the commit's hash, or its first digits",
    details: { expected: checksum, found: commit.hash },
  });
}
