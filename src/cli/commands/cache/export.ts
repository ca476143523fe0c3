import { Option, type Command } from "commander";
import { exportCacheMounts } from "../../../api/index.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";
import { formatCount, formatSize } from "../../table.ts";
import { progressOption, withProgress, type ProgressFlags } from "../../with-progress.ts";
import { describeMount, mountsPlaceHelp, readWords } from "./mount-words.ts";

interface Flags extends ProgressFlags {
  readonly mounts?: boolean;
  readonly maxSize?: string;
  readonly maxAge?: string;
  readonly sweep?: boolean;
  readonly ignoreError?: boolean;
  readonly insecure?: boolean;
  readonly format?: "text" | "json";
}

/** `tsbuild cache export --mounts [ID…] PLACE` */
export function addExportCommand(cache: Command, invocation: Invocation): void {
  cache
    .command("export")
    .description("bring cache mounts of RUN to a registry, a directory or a file")
    .usage("--mounts [ID...] PLACE [options]")
    .argument("<words...>", "ids of cache mounts (default: all), and the place last")
    .option("--mounts", "the caches of RUN --mount=type=cache (required)")
    .option("--max-size <size>", "leave files behind that were not used for longest, such as 2g")
    .option("--max-age <time>", "leave files behind that were not used for so long, such as 30d")
    .option("--sweep", "remove from a directory what nothing leads to, once it is a day old")
    .option("--ignore-error", "a failure is a warning")
    .option("--insecure", "accept any certificate, and plain http")
    .addOption(new Option("--format <format>", "output format").choices(["text", "json"]))
    .option("-q, --quiet", "print nothing but the digest")
    .addOption(progressOption())
    .addHelpText("after", mountsPlaceHelp)
    .action(async (words: readonly string[], flags: Flags, command: Command) => {
      const { ids, place } = readWords(words, flags);
      const { maxSize, maxAge, sweep, ignoreError, insecure } = flags;
      const exported = await withProgress(flags, (listener) =>
        exportCacheMounts({
          ...globalFlags(command),
          ...{ ids, place, maxSize, maxAge, sweep, ignoreError, insecure },
          progress: listener,
          signal: invocation.signal,
        }),
      );
      if (flags.format === "json") {
        process.stdout.write(`${JSON.stringify(exported, undefined, 2)}\n`);
        return;
      }
      const { digest, mounts, sent } = exported;
      if (digest === undefined) return;
      if (flags.quiet === true) return void process.stdout.write(`${digest}\n`);
      for (const mount of mounts) {
        const { files, bytes } = mount.dropped;
        const left = `, ${formatCount(files, "file")} (${formatSize(bytes)}) left behind`;
        process.stdout.write(`${describeMount(mount)}${files === 0 ? "" : left}\n`);
      }
      process.stdout.write(`sent ${formatSize(sent.bytes)} of new content\n`);
    });
}
