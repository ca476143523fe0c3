import type { Command } from "commander";
import { inspectImages } from "../../api/index.ts";
import { failureTeller } from "../failure-teller.ts";
import { globalFlags, type Invocation } from "../invocation.ts";

/** `tsbuild inspect IMAGE…` */
export function addInspectCommand(program: Command, invocation: Invocation): void {
  program
    .command("inspect")
    .description("print everything known about images as JSON")
    .argument("<image...>", "image names or IDs")
    .action(async (images: string[], _flags: object, command: Command) => {
      const onFailed = failureTeller(invocation, command);
      const found = await inspectImages({ ...globalFlags(command), images, onFailed });
      if (found.length > 0) process.stdout.write(`${JSON.stringify(found, undefined, 4)}\n`);
    });
}
