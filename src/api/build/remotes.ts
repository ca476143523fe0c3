import { join } from "node:path";
import type { GitCredentials, GitRepositories } from "../../context/index.ts";
import { parsePairs, type BuildOptions } from "./options.ts";
import type { ContextPlace } from "./context-place.ts";
import type { Engine } from "../engine.ts";

/** What a build may have to fetch from, opened when it is needed. */
export interface Remotes {
  readonly git: () => Promise<GitRepositories>;
  /** Headers for a request to a URL. */
  readonly authorize: (url: string) => Promise<Readonly<Record<string, string>>>;
  /** Whether a repository that is the main context keeps its `.git`. */
  readonly keepGitDir: boolean;
}

/**
 * The state root's place for repositories, with what the options say about who we are. A context that comes by ssh uses
 * the caller's agent without being told to.
 */
export function openRemotes(request: {
  readonly engine: Engine;
  readonly options: BuildOptions;
  readonly place: ContextPlace;
}): Remotes {
  const { engine, options, place } = request;
  let git: Promise<GitRepositories> | undefined;
  const open = async (): Promise<GitRepositories> => {
    const { store } = engine;
    const { openGitRepositories } = await import("../../context/index.ts");
    return openGitRepositories({
      directory: join(store.root, "cache", "git"),
      tmpDir: store.tmpDir,
      credentials: credentialsOf(place),
      lock: (name, work, signal) => store.withLock(name, work, signal),
    });
  };
  const buildArgs = parsePairs(options.buildArgs ?? [], "BUILD_ARG_INVALID");
  return {
    git: () => (git ??= open()),
    authorize: async () => ({}),
    keepGitDir: /^(?:1|t|true)$/i.test(buildArgs.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR") ?? ""),
  };
}

function credentialsOf(place: ContextPlace): GitCredentials {
  const isSsh = place.type === "git" && !/^(?:https?|git):/.test(place.reference.remote);
  const agentSocket = process.env["SSH_AUTH_SOCK"];
  return isSsh && agentSocket !== undefined ? { agentSocket } : {};
}
