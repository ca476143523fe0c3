import type { Command } from "commander";
import { attachArtifact } from "../../../api/index.ts";
import { collect, globalFlags, type Invocation } from "../../invocation.ts";
import { progressOption, withProgress, type ProgressFlags } from "../../with-progress.ts";
import { subjectHelp } from "./place-help.ts";

interface Flags extends ProgressFlags {
  readonly artifactType: string;
  readonly annotation: readonly string[];
  readonly platform?: string;
  readonly insecure?: boolean;
}

/** `tsbuild image attach IMAGE FILE[:type]…` */
export function addAttachCommand(image: Command, invocation: Invocation): void {
  image
    .command("attach")
    .description("put files beside an image in a registry, as an artifact that refers to it")
    .argument("<image>", "what the artifact is about")
    .argument(
      "[file...]",
      "file, with its type behind a colon; - is standard input (behind --: -:TYPE)",
    )
    .requiredOption("--artifact-type <type>", "what it is, such as application/spdx+json")
    .option("-a, --annotation <key=value>", "annotation of the artifact", collect, [])
    .option("--platform <platform>", "about this image of an index (default: the index)")
    .option("-q, --quiet", "print nothing but the digest")
    .addOption(progressOption())
    .option("--insecure", "accept any certificate, and plain http")
    .addHelpText("after", subjectHelp)
    .action(async (place: string, files: readonly string[], flags: Flags, command: Command) => {
      const { artifactType, annotation: annotations, platform, insecure } = flags;
      const { digest } = await withProgress(flags, (listener) =>
        attachArtifact({
          ...globalFlags(command),
          ...{ image: place, files, artifactType, annotations, platform, insecure },
          progress: listener,
          signal: invocation.signal,
        }),
      );
      process.stdout.write(`${digest}\n`);
    });
}
