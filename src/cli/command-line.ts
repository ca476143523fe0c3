import { Command, CommanderError, Help, type Option } from "commander";
import { isUsageError, version } from "../api/index.ts";
import { addBuildCommand } from "./commands/build.ts";
import { addBuilderCommand } from "./commands/builder.ts";
import { addCacheCommand } from "./commands/cache/index.ts";
import { addContextCommand } from "./commands/context.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addExplainCommand } from "./commands/explain.ts";
import { addGraphCommand } from "./commands/graph.ts";
import { addHistoryCommand } from "./commands/history.ts";
import { addImageCommand } from "./commands/image/index.ts";
import { addImagesCommand } from "./commands/images.ts";
import { addImagetoolsCommand } from "./commands/imagetools.ts";
import { addInspectCommand } from "./commands/inspect.ts";
import { addLoadCommand } from "./commands/load.ts";
import { addLoginCommand, addLogoutCommand } from "./commands/login.ts";
import { addManifestCommand } from "./commands/manifest/index.ts";
import { addPullCommand } from "./commands/pull.ts";
import { addPushCommand } from "./commands/push.ts";
import { addRmiCommand } from "./commands/rmi.ts";
import { addRunCommand } from "./commands/run.ts";
import { addSaveCommand } from "./commands/save.ts";
import { addSystemCommand } from "./commands/system.ts";
import { addTagCommand } from "./commands/tag.ts";
import { addTagsCommand } from "./commands/tags.ts";
import { brokenPipeCode } from "./output-streams.ts";
import { printError } from "./print-error.ts";
import { acceptTlsVerify } from "./tls-verify.ts";
import { usageHint } from "./usage-hint.ts";
import { addGlobalFlags, watchSignals, type Invocation } from "./invocation.ts";

/**
 * Exit codes: 0 success, 1 the verb failed, 2 wrong usage; `run` passes on the code of its process. Once nobody reads
 * our output any more, `brokenPipe` cancels the verb, and nothing is told. `onCommand` learns which command it is, once
 * its line is understood; `steps` takes what `noteSteps` notes.
 */
export async function runCommandLine(
  args: readonly string[],
  {
    brokenPipe,
    onCommand = () => undefined,
    steps = new Set(),
  }: {
    readonly brokenPipe: AbortSignal;
    readonly onCommand?: (command: Command) => void;
    readonly steps?: Set<string>;
  },
): Promise<number> {
  const signals = watchSignals(() => invocation.forwardSignal);
  const signal = AbortSignal.any([signals.signal, brokenPipe]);
  const invocation: Invocation = { signal, exitCode: 0, steps };
  const program = createProgram(invocation, { only: callable(args) });
  program.hook("preAction", (_program, command) => onCommand(command));
  try {
    // A first look at a new tool is no mistake.
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
    return signals.exitCode() ?? invocation.exitCode;
  } catch (error) {
    const hint = usageHint(error, { args, program });
    // Commander has printed help, the version, or its complaint itself.
    if (error instanceof CommanderError) {
      if (hint !== undefined) process.stderr.write(`hint: ${hint}\n`);
      return error.exitCode === 0 ? 0 : 2;
    }
    if (brokenPipe.aborted) return brokenPipeCode;
    const debug = args.includes("--debug") || args.includes("-D");
    printError(error, { stream: process.stderr, debug, hint });
    if (isUsageError(error)) return 2;
    return signals.exitCode() ?? invocation.failureCode?.(error) ?? 1;
  } finally {
    signals.stop();
  }
}

/**
 * The whole command line as commander sees it; help texts and documentation come from here. Commands are declared for
 * which `only` holds: most of them cost a start as much as the one that is called.
 */
export function createProgram(
  invocation: Invocation,
  { only = () => true }: { readonly only?: (name: string) => boolean } = {},
): Command {
  const program = new Command("tsbuild")
    .description("Turn a Dockerfile into an OCI image, without a daemon.")
    .version(version, "--version", "print the version")
    .showSuggestionAfterError()
    .showHelpAfterError("(add --help for the list of options)")
    .enablePositionalOptions()
    .configureHelp({ optionDescription: describeOption })
    .exitOverride();
  addGlobalFlags(program, { hidden: false });
  for (const [name, addCommand] of Object.entries(commands)) {
    if (only(name)) addCommand(program, invocation);
  }
  for (const command of withSubcommands(program.commands)) {
    acceptTlsVerify(command);
    addGlobalFlags(command, { hidden: true }).copyInheritedSettings(program);
  }
  return program;
}

const commands: Readonly<Record<string, (program: Command, invocation: Invocation) => void>> = {
  build: addBuildCommand,
  images: addImagesCommand,
  tag: addTagCommand,
  rmi: addRmiCommand,
  inspect: addInspectCommand,
  history: addHistoryCommand,
  save: addSaveCommand,
  load: addLoadCommand,
  pull: addPullCommand,
  push: addPushCommand,
  login: addLoginCommand,
  logout: addLogoutCommand,
  tags: addTagsCommand,
  image: addImageCommand,
  manifest: addManifestCommand,
  imagetools: addImagetoolsCommand,
  run: addRunCommand,
  builder: addBuilderCommand,
  cache: addCacheCommand,
  system: addSystemCommand,
  context: addContextCommand,
  explain: addExplainCommand,
  graph: addGraphCommand,
  doctor: addDoctorCommand,
};

/** A command that no word names is not called, unless it is the default one; only help speaks of all. */
function callable(args: readonly string[]): (name: string) => boolean {
  const wantsHelp = args.length === 0 || args.some(mayAskForHelp);
  return (name) => wantsHelp || name === "build" || args.includes(name);
}

/** Also of short flags with an h in what they are given: then more is declared than is needed. */
function mayAskForHelp(word: string): boolean {
  if (word.startsWith("-") && !word.startsWith("--")) return word.includes("h");
  return word.startsWith("help") || word.startsWith("--help");
}

/** That what may be repeated begins with nothing goes without saying. */
function describeOption(option: Option): string {
  const isList = Array.isArray(option.defaultValue) && option.defaultValue.length === 0;
  return isList ? option.description : new Help().optionDescription(option);
}

function withSubcommands(commands: readonly Command[]): Command[] {
  return commands.flatMap((command) => [command, ...withSubcommands(command.commands)]);
}
