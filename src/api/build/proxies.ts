import { homedir } from "node:os";
import { join } from "node:path";
import type { StepLog } from "../../build/index.ts";
import { errnoOf, readSmallFile } from "../../core/index.ts";

const fields = {
  HTTP_PROXY: "httpProxy",
  HTTPS_PROXY: "httpsProxy",
  FTP_PROXY: "ftpProxy",
  NO_PROXY: "noProxy",
  ALL_PROXY: "allProxy",
};

/**
 * The build arguments together with the proxies that Docker's configuration file sets for every build
 * (`proxies.default`), in both letter cases. One that is given, in either case, is left as it is. A file that cannot be
 * read is told by a warning, PROXY_CONFIG_UNREADABLE.
 */
export function withConfiguredProxies(
  buildArgs: ReadonlyMap<string, string>,
  steps: Pick<StepLog, "warn">,
  env: Readonly<Record<string, string | undefined>> = process.env,
): ReadonlyMap<string, string> {
  const configured = readProxies(env, steps);
  const given = new Set([...buildArgs.keys()].map((name) => name.toUpperCase()));
  const added = Object.entries(fields).flatMap(([name, field]) => {
    const value = configured[field];
    if (typeof value !== "string" || value === "" || given.has(name)) return [];
    return [[name, value] as const, [name.toLowerCase(), value] as const];
  });
  return new Map([...buildArgs, ...added]);
}

function readProxies(
  env: Readonly<Record<string, string | undefined>>,
  steps: Pick<StepLog, "warn">,
): Readonly<Record<string, unknown>> {
  const folder = env["DOCKER_CONFIG"] || join(env["HOME"] ?? homedir(), ".docker");
  const path = join(folder, "config.json");
  try {
    const config = toObject(JSON.parse(readSmallFile(path, { limit: maxConfig }).toString("utf8")));
    return toObject(toObject(config["proxies"])["default"]);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return {};
    steps.warn({
      code: "PROXY_CONFIG_UNREADABLE",
      message: `${path} cannot be read: RUN gets none of the proxies that it may set`,
      hint: "mend it, or point DOCKER_CONFIG elsewhere",
    });
    return {};
  }
}

/** Bytes. */
const maxConfig = 16 * 1024 * 1024;

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
