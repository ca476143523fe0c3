import type { Command } from "commander";
import { tagImage } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";

/** `tsbuild tag SOURCE TARGET` */
export function addTagCommand(program: Command, _invocation: Invocation): void {
  program
    .command("tag")
    .description("give an image another name")
    .argument("<source>", "image name or ID")
    .argument("<target>", "new name")
    .action(async (source: string, target: string, _flags: object, command: Command) => {
      await tagImage({ ...globalFlags(command), source, target });
    });
}
