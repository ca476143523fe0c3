import { Option, type Command } from "commander";
import { pushImage } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";
import { createProgress, progressModes, type ProgressMode } from "../progress/index.ts";

interface Flags {
  readonly quiet?: boolean;
  readonly progress: ProgressMode;
}

/** `tsbuild push NAME` */
export function addPushCommand(program: Command, invocation: Invocation): void {
  program
    .command("push")
    .description("send an image to a registry")
    .argument("<name>", "image name; its first part names the registry")
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
        const pushed = await pushImage({
          ...globalFlags(command),
          name,
          progress: progress.listener,
          signal: invocation.signal,
        });
        progress.finish("success");
        process.stdout.write(
          flags.quiet === true
            ? `${pushed.name}\n`
            : `${pushed.tag}: digest: ${pushed.digest} size: ${String(pushed.size)}\n`,
        );
      } catch (error) {
        progress.finish("failure");
        throw error;
      }
    });
}
