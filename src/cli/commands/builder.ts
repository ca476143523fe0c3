import type { Command } from "commander";
import { pruneBuilder } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";
import { formatSize } from "../table.ts";
import { warningPrinter } from "../warnings.ts";

/** `tsbuild builder prune` */
export function addBuilderCommand(program: Command, invocation: Invocation): void {
  const builder = program.command("builder").description("manage the build cache");
  builder
    .command("prune")
    .description("remove build cache that nothing refers to")
    .option("-a, --all", "all of it, also what recent builds used")
    .option("-f, --force", "accepted for compatibility: nothing is asked")
    .action(async (flags: { readonly all?: boolean }, command: Command) => {
      const report = await pruneBuilder({
        ...globalFlags(command),
        all: flags.all ?? false,
        progress: warningPrinter(process.stderr),
        signal: invocation.signal,
      });
      process.stdout.write(`Total:\t${formatSize(report.reclaimed)}\n`);
    });
}
