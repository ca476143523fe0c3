import { Option, type Command } from "commander";
import { drawGraph, graphBuild, graphFormats, type GraphFormat } from "../../api/index.ts";
import { collect, globalFlags, type Invocation } from "../invocation.ts";
import { warningPrinter } from "../warnings.ts";

interface Flags {
  readonly format: GraphFormat;
  readonly file?: string;
  readonly target?: string;
  readonly buildArg: readonly string[];
  readonly buildContext: readonly string[];
  readonly platform: readonly string[];
}

/** `tsbuild graph [CONTEXT]` */
export function addGraphCommand(program: Command, invocation: Invocation): void {
  program
    .command("graph")
    .description(
      "draw what a build does: stages, steps, what reads from what, what was cached last",
    )
    .argument("[context]", "a directory, a git repository, a URL, or -", ".")
    .addOption(
      new Option("--format <format>", "what is written to standard output")
        .choices(graphFormats)
        .default("svg"),
    )
    .option("-f, --file <file>", "the Dockerfile (default: Dockerfile in the context)")
    .option("--target <stage>", "stage to build (default: the last)")
    .option("--build-arg <name=value>", "value for an ARG (repeatable)", collect, [])
    .option(
      "--build-context <name=value>",
      "what stands in for a stage or image (repeatable)",
      collect,
      [],
    )
    .option(
      "--platform <platforms>",
      "platforms of the result, os/arch[/variant] or local (comma list, repeatable)",
      collect,
      [],
    )
    .action(async (context: string, flags: Flags, command: Command) => {
      const graph = await graphBuild({
        ...globalFlags(command),
        context,
        file: flags.file,
        target: flags.target,
        buildArgs: flags.buildArg,
        namedContexts: flags.buildContext,
        platforms: flags.platform,
        progress: warningPrinter(process.stderr),
        signal: invocation.signal,
      });
      process.stdout.write(drawGraph(graph, flags.format));
    });
}
