import type { Command } from "commander";
import { loadImages } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";

/** `tsbuild load [-i FILE]` */
export function addLoadCommand(program: Command, invocation: Invocation): void {
  program
    .command("load")
    .description("read images from an OCI layout or docker archive")
    .option(
      "-i, --input <file>",
      "file or layout directory to read (default, and -: standard input)",
    )
    .option("-q, --quiet", "do not print the names")
    .action(
      async (flags: { readonly input?: string; readonly quiet?: boolean }, command: Command) => {
        const loaded = await loadImages({
          ...globalFlags(command),
          input: flags.input === undefined || flags.input === "-" ? process.stdin : flags.input,
          signal: invocation.signal,
        });
        if (flags.quiet === true) return;
        for (const { name, id, replaced } of loaded) {
          if (name !== undefined && replaced !== undefined) {
            process.stdout.write(
              `The image ${name} already exists, renaming the old one with ID ${replaced} to empty string\n`,
            );
          }
          process.stdout.write(
            name === undefined ? `Loaded image ID: ${id}\n` : `Loaded image: ${name}\n`,
          );
        }
      },
    );
}
