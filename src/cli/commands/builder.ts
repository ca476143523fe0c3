import { Option, type Command } from "commander";
import { pruneBuilder } from "../../api/index.ts";
import { cacheFilterOption, formatItems } from "../cache/print-items.ts";
import { globalFlags, type Invocation } from "../invocation.ts";
import { formatSize } from "../table.ts";
import { warningPrinter } from "../warnings.ts";

interface Flags {
  readonly all?: boolean;
  readonly filter: readonly string[];
  readonly olderThan?: string;
  readonly reservedSpace?: string;
  readonly keepStorage?: string;
  readonly maxUsedSpace?: string;
  readonly minFreeSpace?: string;
  readonly dryRun?: boolean;
  readonly verbose?: boolean;
}

/** `tsbuild builder prune` */
export function addBuilderCommand(program: Command, invocation: Invocation): void {
  const builder = program.command("builder").description("manage the build cache");
  builder
    .command("prune")
    .description("remove build cache that nothing refers to, or what is told of it")
    .option("-a, --all", "all of it, also what images share with it and what only saves time")
    .addOption(cacheFilterOption("remove only these"))
    .option("--older-than <duration>", "remove only what was not used for so long: 24h, 7d")
    .option(
      "--keep-storage <bytes>",
      "keep so much of it, what was used last: 10GB; the same as --reserved-space",
    )
    .option("--reserved-space <bytes>", "so much of it is kept whatever the other limits say")
    .option("--max-used-space <bytes>", "keep no more than this of it, what was used last")
    .option("--min-free-space <bytes>", "remove until so much of the disk is free")
    .option("--dry-run", "remove nothing: tell what would go")
    .option("--verbose", "list what goes")
    .addOption(new Option("-f, --force", "accepted for compatibility: nothing is asked"))
    .action(async (flags: Flags, command: Command) => {
      const { all = false, dryRun = false, verbose = false } = flags;
      const report = await pruneBuilder({
        ...globalFlags(command),
        all,
        filters: flags.filter,
        olderThan: flags.olderThan,
        reservedSpace: flags.reservedSpace ?? flags.keepStorage,
        reservedSpaceFlag: flags.reservedSpace === undefined ? "--keep-storage" : undefined,
        maxUsedSpace: flags.maxUsedSpace,
        minFreeSpace: flags.minFreeSpace,
        dryRun,
        progress: warningPrinter(process.stderr),
        signal: invocation.signal,
      });
      const isListed = dryRun || verbose;
      const rows = isListed ? formatItems(report.removed, { trunc: true }) : "";
      process.stdout.write(`${rows}Total:\t${formatSize(report.reclaimed)}\n`);
    });
}
