import type { Command } from "commander";
import { pushImage, pushRepository, type PushedImage } from "../../api/index.ts";
import {
  compressionOptions,
  compressionWords,
  type CompressionFlags,
} from "../compression-options.ts";
import { collect, globalFlags, type Invocation } from "../invocation.ts";
import { platformList } from "../platform-option.ts";
import { progressOption, withProgress, type ProgressFlags } from "../with-progress.ts";

interface Flags extends ProgressFlags, CompressionFlags {
  readonly allTags?: boolean;
  readonly platform: readonly string[];
  readonly insecure?: boolean;
  readonly digestfile?: string;
}

/** `tsbuild push NAME` */
export function addPushCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command("push")
    .description("send an image to a registry")
    .argument("<name>", "image name; its first part names the registry")
    .option("-a, --all-tags", "every tag that the repository has in the local store")
    .option("--platform <platforms>", "only these of an index (default: all)", collect, [])
    .option("--insecure", "accept any certificate, and plain http")
    .option("--digestfile <file>", "write the digest to a file")
    .option("-q, --quiet", "print only the name")
    .addOption(progressOption())
    .action(async (name: string, flags: Flags, command: Command) => {
      const pushed = await withProgress(
        flags,
        async (listener): Promise<readonly PushedImage[]> => {
          const options = {
            ...globalFlags(command),
            ...{ name, compression: compressionWords(flags), insecure: flags.insecure },
            platforms: platformList(flags.platform),
            digestFile: flags.digestfile,
            progress: listener,
            signal: invocation.signal,
          };
          return flags.allTags === true ? pushRepository(options) : [await pushImage(options)];
        },
      );
      for (const { name: full, tag, digest, size } of pushed) {
        process.stdout.write(
          flags.quiet === true ? `${full}\n` : `${tag}: digest: ${digest} size: ${String(size)}\n`,
        );
      }
    });
  for (const option of compressionOptions("default: gzip")) command.addOption(option);
}
