import type { Command } from "commander";
import { mutateImage } from "../../../api/index.ts";
import { collect, globalFlags, type Invocation } from "../../invocation.ts";
import { progressOption, withProgress, type ProgressFlags } from "../../with-progress.ts";
import { placeHelp } from "./place-help.ts";

interface Flags extends ProgressFlags {
  readonly tag?: string;
  readonly label: readonly string[];
  readonly env: readonly string[];
  readonly annotation: readonly string[];
  readonly entrypoint?: string;
  readonly cmd?: string;
  readonly user?: string;
  readonly workdir?: string;
  readonly rebase?: string | true;
  readonly oldBase?: string;
  readonly insecure?: boolean;
}

/** `tsbuild image mutate SRC` */
export function addMutateCommand(image: Command, invocation: Invocation): void {
  image
    .command("mutate")
    .description("change what an image says of itself, or its base, without touching its files")
    .argument("<image>", "place of the image")
    .option("-t, --tag <target>", "place of the changed image (default: that of the old one)")
    .option("-l, --label <key=value>", "label to set", collect, [])
    .option("-e, --env <key=value>", "variable to set", collect, [])
    .option("--entrypoint <words>", "JSON list of words, or one word; empty for none")
    .option("--cmd <words>", "the same")
    .option("-u, --user <user>", "user")
    .option("-w, --workdir <path>", "working directory")
    .option("--annotation <annotation>", "[types[platform]:]key=value", collect, [])
    .option(
      "--rebase [new-base]",
      "put the image on this base (default: what it says it is built on)",
    )
    .option("--old-base <place>", "base that it lies on (default: what it says)")
    .option("--insecure", "accept any certificate, and plain http")
    .option("-q, --quiet", "print nothing but the digest")
    .addOption(progressOption())
    .addHelpText("after", placeHelp)
    .action(async (place: string, flags: Flags, command: Command) => {
      const { entrypoint, cmd, user, workdir: workingDir, insecure, rebase, oldBase } = flags;
      const newBase = rebase === true ? undefined : rebase;
      const { digest } = await withProgress(flags, (listener) =>
        mutateImage({
          ...globalFlags(command),
          ...{ image: place, target: flags.tag, labels: flags.label, env: flags.env },
          ...{ annotations: flags.annotation, entrypoint, cmd, user, workingDir, insecure },
          ...(rebase === undefined ? {} : { rebase: { oldBase, newBase } }),
          progress: listener,
          signal: invocation.signal,
        }),
      );
      process.stdout.write(`${digest}\n`);
    });
}
