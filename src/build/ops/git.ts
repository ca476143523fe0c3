import type { KeyField } from "../../cache/index.ts";
import { coreError } from "../../core/index.ts";
import type { GitRepositories } from "../../context/index.ts";
import type { GitOp } from "../../plan/index.ts";
import type { BuildEnvironment } from "../environment.ts";
import type { TreeResult } from "../result.ts";

/**
 * The files of a commit. What the op's ref stands for is asked once a build; files are fetched when somebody reads them.
 * @throws CONTEXT_GIT_*
 */
export async function openGit(
  op: GitOp,
  request: { readonly environment: BuildEnvironment; readonly name: string },
): Promise<TreeResult> {
  const { environment, name } = request;
  const { signal, steps } = environment;
  const repositories = repositoriesOf(environment);
  const tree = await steps.run({ name, phase: "pull" }, () => repositories.open(op, signal));
  return { type: "tree", tree };
}

/**
 * What a repository is to a cache: its commit, so that another name for it, another mirror, or a checksum that it
 * fulfils make no difference.
 * @throws CONTEXT_GIT_*, also when the commit is not the one that the op promises
 */
export async function gitFields(op: GitOp, environment: BuildEnvironment): Promise<KeyField[]> {
  const repositories = repositoriesOf(environment);
  const commit = await repositories.resolve(op, environment.signal);
  const { subdir = null, keepGitDir = false, submodules = true } = op;
  return [
    { name: "commit", value: commit.hash },
    { name: "folder", value: subdir },
    { name: "submodules", value: submodules },
    // A `.git` tells which branch it is on and where it came from.
    { name: "git-dir", value: keepGitDir ? [op.remote, commit.ref ?? null] : null },
  ];
}

function repositoriesOf({ git }: BuildEnvironment): GitRepositories {
  if (git === undefined)
    throw coreError("INTERNAL", "open a git repository without a place for it");
  return git();
}
