import type { ExecConfig } from "../image/index.ts";
import { runtimeError } from "./errors.ts";

/** What a caller may change of the process that an image describes. */
export interface ProcessOptions {
  /** Replaces the image's CMD when it is not empty. */
  readonly command: readonly string[];
  /** Replaces the image's ENTRYPOINT and drops its CMD; an empty string only clears. */
  readonly entrypoint?: string | undefined;
  /** `NAME=value`, or `NAME` to take the caller's value (and to unset it when the caller has none). */
  readonly env: readonly string[];
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
}

export interface ProcessSpec {
  readonly argv: readonly string[];
  /** Without HOME and HOSTNAME, which depend on the user and the container. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The process of a container, by docker's rules.
 * @throws RUNTIME_COMMAND_MISSING, RUNTIME_ENV_INVALID
 */
export function describeProcess(request: {
  readonly config: ExecConfig;
  readonly options: ProcessOptions;
  /** The caller's environment, for `-e NAME`. */
  readonly callerEnv: Readonly<Record<string, string | undefined>>;
}): ProcessSpec {
  const { config, options, callerEnv } = request;
  const argv = commandLine(config, options);
  if (argv.length === 0) {
    throw runtimeError("RUNTIME_COMMAND_MISSING", "start a container without a command", {
      hint: "the image has no CMD and no ENTRYPOINT: give a command behind the image name",
    });
  }
  return {
    argv,
    env: mergeEnv([`PATH=${defaultPath}`, ...(config.env ?? [])], {
      changes: options.env,
      callerEnv,
    }),
    cwd: absolute(options.workdir ?? config.workingDir ?? "/"),
    user: options.user ?? config.user ?? "",
  };
}

function commandLine(config: ExecConfig, options: ProcessOptions): string[] {
  const { command, entrypoint } = options;
  if (entrypoint !== undefined) return [...(entrypoint === "" ? [] : [entrypoint]), ...command];
  const args = command.length > 0 ? command : (config.cmd ?? []);
  return [...(config.entrypoint ?? []), ...args];
}

function mergeEnv(
  base: readonly string[],
  request: {
    readonly changes: readonly string[];
    readonly callerEnv: Readonly<Record<string, string | undefined>>;
  },
): string[] {
  const variables = new Map(base.map(splitVariable));
  for (const change of request.changes) {
    if (change === "" || change.startsWith("=")) {
      throw runtimeError(
        "RUNTIME_ENV_INVALID",
        `set environment variable ${JSON.stringify(change)}`,
        {
          hint: "write -e NAME=value, or -e NAME to take the value from your environment",
        },
      );
    }
    const value = change.includes("=") ? splitVariable(change)[1] : request.callerEnv[change];
    const name = splitVariable(change)[0];
    if (value === undefined) variables.delete(name);
    else variables.set(name, value);
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

function splitVariable(variable: string): [string, string] {
  const equals = variable.indexOf("=");
  return equals === -1 ? [variable, ""] : [variable.slice(0, equals), variable.slice(equals + 1)];
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}
