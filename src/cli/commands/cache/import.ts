import { Option, type Command } from "commander";
import { importCacheMounts } from "../../../api/index.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";
import { formatSize } from "../../table.ts";
import { progressOption, withProgress, type ProgressFlags } from "../../with-progress.ts";
import { describeMount, mountsPlaceHelp, readWords } from "./mount-words.ts";

interface Flags extends ProgressFlags {
  readonly mounts?: boolean;
  readonly keep?: boolean;
  readonly strict?: boolean;
  readonly insecure?: boolean;
  readonly format?: "text" | "json";
}

/** `tsbuild cache import --mounts [ID…] PLACE` */
export function addImportCommand(cache: Command, invocation: Invocation): void {
  cache
    .command("import")
    .description("fill cache mounts of RUN from where `cache export` brought them")
    .usage("--mounts [ID...] PLACE [options]")
    .argument("<words...>", "ids of cache mounts (default: all), and the place last")
    .option("--mounts", "the caches of RUN --mount=type=cache (required)")
    .option("--keep", "leave caches alone that are here")
    .option("--strict", "what cannot be imported is a failure, not a warning")
    .option("--insecure", "accept any certificate, and plain http")
    .addOption(new Option("--format <format>", "output format").choices(["text", "json"]))
    .option("-q, --quiet", "print nothing")
    .addOption(progressOption())
    .addHelpText("after", mountsPlaceHelp)
    .action(async (words: readonly string[], flags: Flags, command: Command) => {
      const { ids, place } = readWords(words, flags);
      const { keep, strict, insecure } = flags;
      const imported = await withProgress(flags, (listener) =>
        importCacheMounts({
          ...globalFlags(command),
          ...{ ids, place, keep, strict, insecure },
          progress: listener,
          signal: invocation.signal,
        }),
      );
      if (flags.format === "json") {
        process.stdout.write(`${JSON.stringify(imported, undefined, 2)}\n`);
        return;
      }
      const { mounts, fetched } = imported;
      if (flags.quiet === true || mounts.length === 0) return;
      for (const mount of mounts) process.stdout.write(`${describeMount(mount)}\n`);
      process.stdout.write(`fetched ${formatSize(fetched.bytes)}\n`);
    });
}
