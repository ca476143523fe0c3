import { constants } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { connect } from "node:net";
import { basename, dirname, resolve } from "node:path";
import type { ConnectAgent } from "../../../build/index.ts";
import { errnoOf } from "../../../core/index.ts";
import { apiError, usageError } from "../../errors.ts";
import { startKeyAgent, type KeyAgent } from "./key-agent.ts";

type AgentSource =
  | { readonly type: "socket"; readonly path: string }
  | { readonly type: "keys"; readonly paths: readonly string[] };

/** What `--ssh` gives. */
export interface SshAgents {
  /** How to reach the agent of an id; undefined where there is none. */
  find(id: string): Promise<ConnectAgent | undefined>;
  /** Ends the agents that were started for keys. */
  close(): Promise<void>;
}

/**
 * Reads `--ssh` and looks at what it names. Agents for key files are started when a step wants them.
 * @throws USAGE, SSH_UNAVAILABLE
 */
export async function openSshAgents(
  texts: readonly string[],
  places: { readonly directory: string; readonly env?: NodeJS.ProcessEnv },
): Promise<SshAgents> {
  const env = places.env ?? process.env;
  const sources = new Map<string, AgentSource>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    const id = equals < 0 ? text : text.slice(0, equals);
    const paths = equals < 0 ? [] : text.slice(equals + 1).split(",");
    if (id === "" || paths.includes("")) {
      throw usageError(`read --ssh ${text}`, "write default, id=SOCKET or id=KEYFILE");
    }
    if (sources.has(id)) {
      throw usageError(`read --ssh ${text}: ${id} is given twice`, "give each id once");
    }
    sources.set(id, await sourceOf(id, { paths, env }));
  }
  const handles: FileHandle[] = [];
  const keyAgents = new Map<string, Promise<KeyAgent>>();
  return {
    find: async (id) => {
      const source = sources.get(id);
      if (source === undefined) return undefined;
      if (source.type === "socket") return reach(source.path, handles);
      const { paths } = source;
      let agent = keyAgents.get(id);
      if (agent === undefined) {
        agent = startKeyAgent({ directory: places.directory, paths });
        keyAgents.set(id, agent);
      }
      return reach((await agent).socket, handles);
    },
    close: async () => {
      for (const agent of await Promise.allSettled(keyAgents.values())) {
        if (agent.status === "fulfilled") await agent.value.stop();
      }
      for (const handle of handles.splice(0)) await handle.close();
    },
  };
}

async function sourceOf(
  id: string,
  given: { readonly paths: readonly string[]; readonly env: NodeJS.ProcessEnv },
): Promise<AgentSource> {
  const { env } = given;
  const agent = env["SSH_AUTH_SOCK"] ?? "";
  if (given.paths.length === 0 && agent === "") {
    throw apiError(
      "SSH_UNAVAILABLE",
      `invalid empty ssh agent socket for ${id}: SSH_AUTH_SOCK is not set`,
      {
        hint: "start an agent (eval $(ssh-agent)), or name a key: --ssh default=~/.ssh/id_ed25519",
      },
    );
  }
  const paths = (given.paths.length === 0 ? [agent] : given.paths).map((path) => resolve(path));
  const kinds = await Promise.all(paths.map(async (path) => isSocket(id, path)));
  const [first = ""] = paths;
  if (!kinds.includes(true)) return { type: "keys", paths };
  if (paths.length === 1) return { type: "socket", path: first };
  throw usageError(
    `read --ssh ${id}: an agent's socket stands for itself alone`,
    "give one socket, or any number of key files",
  );
}

async function isSocket(id: string, path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket();
  } catch (error) {
    throw apiError("SSH_UNAVAILABLE", `read --ssh ${id}: ${path}: ${errnoOf(error) ?? "?"}`, {
      hint: "name the socket of a running agent, or a key file",
      details: { id, path },
      cause: error,
    });
  }
}

/** Addresses of sockets end at 108 bytes, so the folder is held open and named by its descriptor. */
async function reach(path: string, handles: FileHandle[]): Promise<ConnectAgent> {
  const handle = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  handles.push(handle);
  return () => connect(`/proc/self/fd/${String(handle.fd)}/${basename(path)}`);
}
