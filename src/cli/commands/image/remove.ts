import type { Command } from "commander";
import { removeImages, removeRemote } from "../../../api/index.ts";
import { failureTeller } from "../../failure-teller.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";
import { warningPrinter } from "../../warnings.ts";
import { printRemoved } from "../rmi.ts";

interface Flags {
  readonly force?: boolean;
  readonly insecure?: boolean;
}

/** `tsbuild image rm IMAGE…` */
export function addRemoveCommand(image: Command, invocation: Invocation): void {
  const { signal } = invocation;
  image
    .command("rm")
    .description("remove images here, or with docker://NAME in a registry")
    .argument("<image...>", "image names or IDs, or docker://NAME with a tag or a digest")
    .option(
      "-f, --force",
      "here: one with several names, or that a container uses; in a registry: with all its tags",
    )
    .option("--insecure", "accept any certificate, and plain http")
    .action(async (words: readonly string[], flags: Flags, command: Command) => {
      const { force = false, insecure } = flags;
      const options = { ...globalFlags(command), force, signal };
      const onFailed = failureTeller(invocation, command);
      const isElsewhere = (word: string): boolean => word.includes("://");
      for (const name of words.filter(isElsewhere)) {
        const progress = warningPrinter(process.stderr);
        try {
          const { digest } = await removeRemote({ ...options, name, insecure, progress });
          process.stdout.write(`Deleted: ${name} ${digest}\n`);
        } catch (error) {
          onFailed(error);
        }
      }
      const images = words.filter((word) => !isElsewhere(word));
      if (images.length === 0) return;
      await removeImages({ ...options, images, onRemoved: printRemoved, onFailed });
    });
}
