import { join } from "node:path";
import { authorizationFor, serveAgent, type AgentProxy } from "../../build/index.ts";
import { openGitRepositories, type GitRepositories } from "../../context/index.ts";
import { parseBoolean } from "../../core/index.ts";
import type { Engine } from "../engine.ts";
import { gitCacheOf } from "../git-cache.ts";
import type { ContextPlace } from "./context-place.ts";
import { parsePairs, type BuildOptions } from "./options.ts";
import type { RunSources } from "./run/sources.ts";

/** What a build may have to fetch from, opened when it is needed. */
export interface Remotes {
  readonly git: () => GitRepositories;
  /** Headers for a request to a URL. */
  readonly authorize: (url: string) => Promise<Readonly<Record<string, string>>>;
  /** Whether a repository that is the main context keeps its `.git`. */
  readonly keepGitDir: boolean;
}

export interface OpenedRemotes extends Remotes {
  close(): Promise<void>;
}

interface RemotesRequest {
  readonly engine: Engine;
  readonly options: BuildOptions;
  readonly place: ContextPlace;
  /** Secrets, and the agent `default`; none unless given. */
  readonly given?: Pick<RunSources, "readSecret" | "findAgent">;
}

/**
 * The state root's place for repositories, with what the options say about who we are. A main context that comes by ssh
 * uses the caller's agent without being told to.
 */
export function openRemotes(request: RemotesRequest): OpenedRemotes {
  const { engine, options, given = {} } = request;
  const { store } = engine;
  let git: GitRepositories | undefined;
  let agent: Promise<ServedAgent> | undefined;
  const open = (): GitRepositories =>
    openGitRepositories({
      directory: gitCacheOf(engine),
      tmpDir: store.tmpDir,
      credentials: {
        secret: given.readSecret,
        agentSocket: async () => (await (agent ??= openAgent(request))).socket,
      },
      lock: (name, task, signal) => store.withLock(name, task, signal),
    });
  const buildArgs = parsePairs(options.buildArgs ?? [], "BUILD_ARG_INVALID");
  return {
    git: () => (git ??= open()),
    authorize: (url) => authorizationFor(url, given),
    keepGitDir: parseBoolean(buildArgs.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR") ?? "") === true,
    // An agent that could not be opened was told of by whoever asked for it.
    close: async () => (await agent?.catch(() => undefined))?.proxy?.close(),
  };
}

interface ServedAgent {
  readonly socket: string | undefined;
  readonly proxy?: AgentProxy;
}

async function openAgent({ engine, place, given }: RemotesRequest): Promise<ServedAgent> {
  const connect = await given?.findAgent?.("default");
  if (connect === undefined)
    return { socket: place.type === "git" ? process.env["SSH_AUTH_SOCK"] : undefined };
  const directory = engine.store.tmpDir;
  const name = "git-agent";
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const proxy = await serveAgent({ directory, name, connect, mode: 0o600, ...owner });
  return { socket: join(directory, name), proxy };
}
