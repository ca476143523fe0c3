import type { Command } from "commander";
import { saveImages, usageError } from "../../api/index.ts";
import {
  compressionOptions,
  compressionWords,
  type CompressionFlags,
} from "../compression-options.ts";
import { globalFlags, type Invocation } from "../invocation.ts";

/** `tsbuild save [-o FILE] IMAGE…` */
export function addSaveCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command("save")
    .description("write images to a tar that is an OCI layout and a docker archive")
    .argument("<image...>", "image names or IDs")
    .option("-o, --output <file>", "file to write (default: standard output)")
    .action(
      async (
        images: string[],
        flags: CompressionFlags & { readonly output?: string },
        command: Command,
      ) => {
        if (flags.output === undefined && process.stdout.isTTY) {
          throw usageError("save to a terminal", "give a file with -o, or redirect the output");
        }
        await saveImages({
          ...globalFlags(command),
          images,
          compression: compressionWords(flags),
          output: flags.output ?? process.stdout,
          signal: invocation.signal,
        });
      },
    );
  for (const option of compressionOptions("default: uncompressed")) command.addOption(option);
}
