import type { BuildEnvironment } from "../../../build/index.ts";
import type { Engine } from "../../engine.ts";
import { readLimits } from "./limits.ts";
import type { RunOptions } from "./options.ts";
import { openSecrets } from "./secrets.ts";
import type { SshAgents } from "./ssh.ts";

/** What steps may ask for while they run. */
export type RunSources = Pick<BuildEnvironment, "readSecret" | "findAgent" | "limits">;

/**
 * Runs `work` with the secrets, agents and limits of the command line.
 * @throws USAGE, SECRET_UNREADABLE, SSH_UNAVAILABLE, before `work` begins
 */
export async function withRunSources<T>(
  options: RunOptions,
  { store }: Engine,
  work: (sources: RunSources) => Promise<T>,
): Promise<T> {
  const { secrets = [], ssh = [] } = options;
  const limits = readLimits(options);
  const agents = await openAgents(ssh, store.tmpDir);
  try {
    return await work({
      ...(secrets.length === 0 ? {} : { readSecret: await openSecrets(secrets) }),
      ...(agents === undefined ? {} : { findAgent: agents.find }),
      ...(limits === undefined ? {} : { limits }),
    });
  } finally {
    await agents?.close();
  }
}

/** Loaded for those who want it. */
async function openAgents(
  texts: readonly string[],
  directory: string,
): Promise<SshAgents | undefined> {
  if (texts.length === 0) return undefined;
  const { openSshAgents } = await import("./ssh.ts");
  return openSshAgents(texts, { directory });
}
