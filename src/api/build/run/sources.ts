import type { BuildEnvironment } from "../../../build/index.ts";
import type { Engine } from "../../engine.ts";
import { readLimits } from "./limits.ts";
import type { RunOptions } from "./options.ts";
import { openSecrets, type GivenSecrets } from "./secrets.ts";
import type { SshAgents } from "./ssh.ts";

/** What steps may ask for while they run. */
export interface RunSources extends Pick<BuildEnvironment, "readSecret" | "findAgent" | "limits"> {
  /** Absent without `--secret`. */
  readonly secrets?: GivenSecrets;
}

/**
 * Runs `work` with the secrets, agents and limits of the command line.
 * @throws USAGE, SECRET_UNREADABLE, SSH_UNAVAILABLE, before `work` begins
 */
export async function withRunSources<T>(
  options: RunOptions,
  { store }: Engine,
  work: (sources: RunSources) => Promise<T>,
): Promise<T> {
  const { secrets: texts = [], ssh = [] } = options;
  const limits = readLimits(options);
  const secrets = texts.length === 0 ? undefined : await openSecrets(texts);
  const agents = await openAgents(ssh, store.tmpDir);
  try {
    return await work({
      ...(secrets === undefined ? {} : { secrets, readSecret: secrets.read }),
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
