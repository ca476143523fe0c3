import type { Command } from "commander";
import { inspectList, listExists } from "../../../api/index.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";
import { warningPrinter } from "../../warnings.ts";

interface InspectFlags {
  readonly verbose?: boolean;
  readonly insecure?: boolean;
}

/** `tsbuild manifest inspect LIST [IMAGE]` */
export function addInspectListCommand(manifest: Command, { signal }: Invocation): void {
  manifest
    .command("inspect")
    .description(
      "print a list as the index that would be pushed, or what a registry has under a name",
    )
    .argument("<list>", "a list that is here, else an image or an index")
    .argument("[image]", "only this image of the list")
    .option("-v, --verbose", "each image with its manifest")
    .option("--insecure", "accept any certificate, and plain http")
    .action(
      async (name: string, image: string | undefined, flags: InspectFlags, command: Command) => {
        const { verbose, insecure } = flags;
        const options = { ...globalFlags(command), name, image, verbose, insecure, signal };
        const found = await inspectList({ ...options, progress: warningPrinter(process.stderr) });
        process.stdout.write(`${JSON.stringify(found, undefined, 4)}\n`);
      },
    );
}

/** `tsbuild manifest exists LIST` */
export function addExistsCommand(manifest: Command, invocation: Invocation): void {
  manifest
    .command("exists")
    .description("the exit code is 0 when there is such a list here, else 1")
    .argument("<list>", "name of the list")
    .action(async (name: string, _flags: object, command: Command) => {
      if (!(await listExists({ ...globalFlags(command), name }))) invocation.exitCode = 1;
    });
}
