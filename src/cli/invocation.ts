import { constants } from "node:os";
import { Option, type Command } from "commander";

/** One run of the command line: what commands share with `command-line.ts`. */
export interface Invocation {
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  exitCode: number;
  /** What `noteSteps` noted of a build. */
  readonly steps?: Set<string>;
  /** Set while signals belong to a container instead of to us. */
  forwardSignal?: (name: NodeJS.Signals) => void;
  /** A command with exit codes of its own (`run`) says which one a failure means. */
  failureCode?: (error: unknown) => number;
}

export interface GlobalFlags {
  readonly root?: string;
  readonly isolation?: "auto" | "builtin" | "oci" | "chroot";
  readonly debug?: boolean;
}

/** Adds the flags that every command takes, so that they may stand before or behind the command's name. */
export function addGlobalFlags(command: Command, options: { readonly hidden: boolean }): Command {
  const flags = [
    new Option("--root <dir>", "folder that holds all state (or $TSBUILD_ROOT)"),
    new Option("--isolation <kind>", "how RUN and run isolate processes").choices([
      "auto",
      "builtin",
      "oci",
      "chroot",
    ]),
    new Option("-D, --debug", "print stack traces"),
  ];
  for (const flag of flags) command.addOption(options.hidden ? flag.hideHelp() : flag);
  return command;
}

/** The global flags of a command, wherever on the line they were given. */
export function globalFlags(command: Command): GlobalFlags {
  const { root, isolation, debug }: GlobalFlags = {
    ...(command.parent === null ? {} : globalFlags(command.parent)),
    ...command.opts<GlobalFlags>(),
  };
  return {
    ...(root === undefined ? {} : { root }),
    ...(isolation === undefined ? {} : { isolation }),
    ...(debug === undefined ? {} : { debug }),
  };
}

/**
 * Turns the first SIGINT, SIGTERM or SIGHUP into an abort; a second one ends the process at once, unless the
 * kernel is still writing to the disk for it. `forward` may take
 * them instead.
 */
export function watchSignals(forward: () => Invocation["forwardSignal"]): {
  readonly signal: AbortSignal;
  readonly exitCode: () => number | undefined;
  readonly stop: () => void;
} {
  const abort = new AbortController();
  let received: NodeJS.Signals | undefined;
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const onSignal = (name: NodeJS.Signals): void => {
    const forwardSignal = forward();
    if (forwardSignal !== undefined) return forwardSignal(name);
    if (received !== undefined) process.exit(128 + constants.signals[name]);
    received = name;
    abort.abort();
  };
  for (const name of names) process.on(name, onSignal);
  return {
    signal: abort.signal,
    exitCode: () => (received === undefined ? undefined : 128 + constants.signals[received]),
    stop: () => names.forEach((name) => process.off(name, onSignal)),
  };
}

/** For flags that may be repeated. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
