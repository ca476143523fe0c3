import { Option, type Command } from "commander";
import { explainContextPaths, inspectContext } from "../../api/index.ts";
import { formatContext, formatExplanations } from "../context/print-context.ts";
import { countOf } from "../read-count.ts";
import { collect, globalFlags, type Invocation } from "../invocation.ts";
import { warningPrinter } from "../warnings.ts";

interface Flags {
  readonly file?: string;
  readonly buildArg: readonly string[];
  readonly buildContext: readonly string[];
  readonly explain: readonly string[];
  readonly top: number;
  readonly format: "text" | "json";
}

/** `tsbuild context [CONTEXT]` */
export function addContextCommand(program: Command, invocation: Invocation): void {
  program
    .command("context")
    .description(
      "tell what a build could read of its context, what takes room, and what no COPY uses",
    )
    .argument("[context]", "a directory, a git repository, a URL, or -", ".")
    .option("-f, --file <file>", "the Dockerfile (default: Dockerfile in the context)")
    .option("--build-arg <name=value>", "value for an ARG (repeatable)", collect, [])
    .option(
      "--build-context <name=value>",
      "what stands in for a stage or image (repeatable)",
      collect,
      [],
    )
    .option(
      "--explain <path>",
      "tell which rule takes or drops this path, and what copies it (repeatable)",
      collect,
      [],
    )
    .option("--top <n>", "length of the lists of what is largest", countOf("--top", "lines"), 10)
    .addOption(
      new Option("--format <format>", "output format").choices(["text", "json"]).default("text"),
    )
    .action(async (context: string, flags: Flags, command: Command) => {
      const options = {
        ...globalFlags(command),
        context,
        file: flags.file,
        buildArgs: flags.buildArg,
        namedContexts: flags.buildContext,
        progress: warningPrinter(process.stderr),
        signal: invocation.signal,
      };
      process.stdout.write(await answer(options, flags));
    });
}

async function answer(
  options: Parameters<typeof inspectContext>[0],
  { explain: paths, top, format }: Flags,
): Promise<string> {
  if (paths.length > 0) {
    const found = await explainContextPaths({ ...options, paths });
    return format === "json" ? toJson(found) : formatExplanations(found);
  }
  const report = await inspectContext(options);
  const { largestFiles, largestFolders, unused } = report;
  const shown = {
    ...report,
    largestFiles: largestFiles.slice(0, top),
    largestFolders: largestFolders.slice(0, top),
    unused: unused && { ...unused, largest: unused.largest.slice(0, top) },
  };
  return format === "json" ? toJson(shown) : formatContext(shown);
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
