import type { Command } from "commander";
import { pushImage } from "../../api/index.ts";
import {
  compressionOptions,
  compressionWords,
  type CompressionFlags,
} from "../compression-options.ts";
import { globalFlags, type Invocation } from "../invocation.ts";
import { progressOption, withProgress, type ProgressFlags } from "../with-progress.ts";

/** `tsbuild push NAME` */
export function addPushCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command("push")
    .description("send an image to a registry")
    .argument("<name>", "image name; its first part names the registry")
    .option("-q, --quiet", "print only the name")
    .addOption(progressOption())
    .action(async (name: string, flags: ProgressFlags & CompressionFlags, command: Command) => {
      const pushed = await withProgress(flags, (listener) =>
        pushImage({
          ...globalFlags(command),
          name,
          compression: compressionWords(flags),
          progress: listener,
          signal: invocation.signal,
        }),
      );
      process.stdout.write(
        flags.quiet === true
          ? `${pushed.name}\n`
          : `${pushed.tag}: digest: ${pushed.digest} size: ${String(pushed.size)}\n`,
      );
    });
  for (const option of compressionOptions("default: gzip")) command.addOption(option);
}
