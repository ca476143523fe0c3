import type { Command } from "commander";
import { removeImages } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";

/** `tsbuild rmi IMAGE…` */
export function addRmiCommand(program: Command, _invocation: Invocation): void {
  program
    .command("rmi")
    .description("remove images")
    .argument("<image...>", "image names or IDs")
    .option("-f, --force", "remove an image with several names, or one that a container uses")
    .action(async (images: string[], flags: { readonly force?: boolean }, command: Command) => {
      const removed = await removeImages({
        ...globalFlags(command),
        images,
        force: flags.force ?? false,
      });
      for (const name of removed.untagged) process.stdout.write(`Untagged: ${name}\n`);
      for (const id of removed.deleted) process.stdout.write(`Deleted: ${id}\n`);
    });
}
