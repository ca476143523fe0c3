import type { Command } from "commander";
import { pullImage } from "../../api/index.ts";
import { collect, globalFlags, type Invocation } from "../invocation.ts";
import { platformList } from "../platform-option.ts";
import { progressOption, withProgress, type ProgressFlags } from "../with-progress.ts";

interface Flags extends ProgressFlags {
  readonly platform: readonly string[];
  readonly insecure?: boolean;
}

/** `tsbuild pull NAME` */
export function addPullCommand(program: Command, invocation: Invocation): void {
  program
    .command("pull")
    .description("fetch an image from a registry")
    .argument("<name>", "image name")
    .option(
      "--platform <platforms>",
      "which platforms of an index (default: this machine's)",
      collect,
      [],
    )
    .option("--insecure", "accept any certificate, and plain http")
    .option("-q, --quiet", "print only the name")
    .addOption(progressOption())
    .action(async (name: string, flags: Flags, command: Command) => {
      const pulled = await withProgress(flags, (listener) =>
        pullImage({
          ...globalFlags(command),
          ...{ name, platforms: platformList(flags.platform), insecure: flags.insecure },
          progress: listener,
          signal: invocation.signal,
        }),
      );
      if (flags.quiet !== true) process.stdout.write(`Digest: ${pulled.digest}\n`);
      process.stdout.write(`${pulled.name}\n`);
    });
}
