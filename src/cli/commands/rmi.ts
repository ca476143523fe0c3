import type { Command } from "commander";
import { removeImages, type RemovedNames } from "../../api/index.ts";
import { failureTeller } from "../failure-teller.ts";
import { globalFlags, type Invocation } from "../invocation.ts";

/** `tsbuild rmi IMAGE…` */
export function addRmiCommand(program: Command, invocation: Invocation): void {
  program
    .command("rmi")
    .description("remove images")
    .argument("<image...>", "image names or IDs")
    .option("-f, --force", "remove an image with several names, or one that a container uses")
    .action(async (images: string[], flags: { readonly force?: boolean }, command: Command) => {
      const { force = false } = flags;
      const onFailed = failureTeller(invocation, command);
      const options = { ...globalFlags(command), images, force };
      await removeImages({ ...options, onRemoved: printRemoved, onFailed });
    });
}

/** In docker's words. */
export function printRemoved({ untagged, deleted }: RemovedNames): void {
  for (const name of untagged) process.stdout.write(`Untagged: ${name}\n`);
  for (const id of deleted) process.stdout.write(`Deleted: ${id}\n`);
}
