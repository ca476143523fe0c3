import type { Command } from "commander";
import { loadImages } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";

/** `tsbuild load [-i FILE]` */
export function addLoadCommand(program: Command, invocation: Invocation): void {
  program
    .command("load")
    .description("read images from an OCI layout or docker archive")
    .option("-i, --input <file>", "file or layout directory to read (default: standard input)")
    .option("-q, --quiet", "do not print the names")
    .action(
      async (flags: { readonly input?: string; readonly quiet?: boolean }, command: Command) => {
        const loaded = await loadImages({
          ...globalFlags(command),
          input: flags.input ?? process.stdin,
          signal: invocation.signal,
        });
        if (flags.quiet === true) return;
        for (const { name, id } of loaded) {
          process.stdout.write(
            name === undefined ? `Loaded image ID: ${id}\n` : `Loaded image: ${name}\n`,
          );
        }
      },
    );
}
