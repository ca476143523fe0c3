import { Option, type Command } from "commander";
import { pushList } from "../../../api/index.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";
import { progressOption, withProgress, type ProgressFlags } from "../../with-progress.ts";

interface Flags extends ProgressFlags {
  readonly purge?: boolean;
  readonly rm?: boolean;
  readonly format?: "oci" | "docker" | "v2s2";
  readonly insecure?: boolean;
  readonly digestfile?: string;
}

/** `tsbuild manifest push LIST [PLACE]` */
export function addPushListCommand(manifest: Command, invocation: Invocation): void {
  manifest
    .command("push")
    .description("send a list with all its images to a registry, and print its digest")
    .argument("<list>", "name of the list")
    .argument("[target]", "place to write it to (default: the registry of its name)")
    .option("-p, --purge", "forget the list afterwards")
    .addOption(new Option("--rm", "the same as --purge").hideHelp())
    .option("--all", "accepted for compatibility: all images go with the list")
    .addOption(
      new Option(
        "-f, --format <format>",
        "media types of the list and its images (default: as they are)",
      ).choices(["oci", "docker", "v2s2"]),
    )
    .option("--insecure", "accept any certificate, and plain http")
    .option("--digestfile <file>", "write the digest to a file")
    .option("-q, --quiet", "show no progress")
    .addOption(progressOption())
    .action(async (name: string, target: string | undefined, flags: Flags, command: Command) => {
      const { insecure, digestfile: digestFile } = flags;
      const { digest } = await withProgress(flags, (listener) =>
        pushList({
          ...globalFlags(command),
          ...{ name, target, insecure, digestFile, progress: listener },
          purge: flags.purge === true || flags.rm === true,
          format: flags.format === "v2s2" ? "docker" : flags.format,
          signal: invocation.signal,
        }),
      );
      process.stdout.write(`${digest}\n`);
    });
}
