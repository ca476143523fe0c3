import { Option, type Command } from "commander";
import { copyImage, usageError } from "../../../api/index.ts";
import { collect, globalFlags, type Invocation } from "../../invocation.ts";
import { platformList } from "../../platform-option.ts";
import { progressOption, withProgress, type ProgressFlags } from "../../with-progress.ts";
import { placeHelp } from "./place-help.ts";

interface Flags extends ProgressFlags {
  readonly platform: readonly string[];
  readonly all?: boolean;
  readonly format?: "oci" | "docker";
  readonly referrers?: boolean;
  readonly insecure?: boolean;
  readonly digestfile?: string;
}

/** `tsbuild image cp SRC DST` */
export function addCopyCommand(image: Command, invocation: Invocation): void {
  image
    .command("cp")
    .alias("copy")
    .description("copy an image from one place to another, without changing a byte of it")
    .argument("<source>", "place to copy from")
    .argument("<target>", "place to copy to")
    .option("--platform <platforms>", "only these platforms (default: all)", collect, [])
    .option("-a, --all", "all platforms: what is done unless --platform is given")
    .addOption(
      new Option(
        "--format <format>",
        "media types of the manifests (default: as they are)",
      ).choices(["oci", "docker"]),
    )
    .option("--referrers", "signatures, attestations and other artifacts that refer to it, too")
    .option("--insecure", "accept any certificate, and plain http")
    .option("--digestfile <file>", "write the digest to a file")
    .option("-q, --quiet", "print nothing but the digest")
    .addOption(progressOption())
    .addHelpText("after", placeHelp)
    .action(async (source: string, target: string, flags: Flags, command: Command) => {
      const platforms = platformList(flags.platform);
      const { format, referrers, insecure, digestfile: digestFile } = flags;
      if (flags.all === true && platforms.length > 0) {
        throw usageError("copy all platforms and only some", "give --all or --platform");
      }
      const { digest } = await withProgress(flags, (listener) =>
        copyImage({
          ...globalFlags(command),
          ...{ source, target, platforms, format, referrers, insecure, digestFile },
          progress: listener,
          signal: invocation.signal,
        }),
      );
      process.stdout.write(`${digest}\n`);
    });
}
