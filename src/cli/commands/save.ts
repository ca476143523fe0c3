import { Option, type Command } from "commander";
import { saveImages, usageError, type SaveFormat } from "../../api/index.ts";
import {
  compressionOptions,
  compressionWords,
  type CompressionFlags,
} from "../compression-options.ts";
import { collect, globalFlags, type Invocation } from "../invocation.ts";
import { platformList } from "../platform-option.ts";

interface Flags extends CompressionFlags {
  readonly output?: string;
  readonly format: SaveFormat;
  readonly platform: readonly string[];
}

/** `tsbuild save [-o FILE] IMAGE…` */
export function addSaveCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command("save")
    .description("write images to an archive; a name without a tag stands for all its tags")
    .argument("<image...>", "image names or IDs")
    .option("-o, --output <file>", "file or directory to write (default, and -: standard output)")
    .addOption(
      new Option("--format <format>", "kind of archive")
        .choices(["docker-archive", "oci-archive", "oci-dir"])
        .default("docker-archive"),
    )
    .option("--platform <platforms>", "only these of an index (default: all)", collect, [])
    .action(async (images: string[], flags: Flags, command: Command) => {
      const isStream = flags.output === undefined || flags.output === "-";
      if (isStream && process.stdout.isTTY) {
        throw usageError("save to a terminal", "give a file with -o, or redirect the output");
      }
      await saveImages({
        ...globalFlags(command),
        images,
        format: flags.format,
        compression: compressionWords(flags),
        platforms: platformList(flags.platform),
        output: isStream ? process.stdout : (flags.output ?? process.stdout),
        signal: invocation.signal,
      });
    });
  for (const option of compressionOptions("default: uncompressed; gzip in layouts"))
    command.addOption(option);
}
