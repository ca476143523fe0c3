import { Option, type Command } from "commander";
import { pullImage } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";
import { createProgress, progressModes, type ProgressMode } from "../progress/index.ts";

interface Flags {
  readonly platform?: string;
  readonly quiet?: boolean;
  readonly progress: ProgressMode;
}

/** `tsbuild pull NAME` */
export function addPullCommand(program: Command, invocation: Invocation): void {
  program
    .command("pull")
    .description("fetch an image from a registry")
    .argument("<name>", "image name")
    .option("--platform <platform>", "which platform of a multi-platform image")
    .option("-q, --quiet", "print only the name")
    .addOption(
      new Option("--progress <mode>", "how to show progress")
        .choices(progressModes)
        .default("auto"),
    )
    .action(async (name: string, flags: Flags, command: Command) => {
      const mode = flags.quiet === true ? "quiet" : flags.progress;
      const progress = createProgress(mode, { stream: process.stderr });
      try {
        const pulled = await pullImage({
          ...globalFlags(command),
          name,
          platform: flags.platform,
          progress: progress.listener,
          signal: invocation.signal,
        });
        progress.finish("success");
        if (flags.quiet !== true) process.stdout.write(`Digest: ${pulled.digest}\n`);
        process.stdout.write(`${pulled.name}\n`);
      } catch (error) {
        progress.finish("failure");
        throw error;
      }
    });
}
