import type { Command } from "commander";
import { inspectPlace, readDocument, usageError } from "../../../api/index.ts";
import { failureTeller } from "../../failure-teller.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";
import { warningPrinter } from "../../warnings.ts";
import { placeHelp } from "./place-help.ts";

interface Flags {
  readonly raw?: boolean;
  readonly config?: boolean;
  readonly platform?: string;
  readonly insecure?: boolean;
}

/** `tsbuild image inspect [--raw] PLACE…` */
export function addInspectPlaceCommand(image: Command, invocation: Invocation): void {
  image
    .command("inspect")
    .description("print what is known about images as JSON, wherever they are")
    .argument("<place...>", "places of images")
    .option("--raw", "the manifest or index as it stands there, byte for byte")
    .option("--config", "with --raw: the config instead")
    .option("--platform <platform>", "which image of an index")
    .option("--insecure", "accept any certificate, and plain http")
    .addHelpText("after", placeHelp)
    .action(async (places: readonly string[], flags: Flags, command: Command) => {
      const { platform, insecure } = flags;
      const { signal } = invocation;
      const progress = warningPrinter(process.stderr);
      const common = { ...globalFlags(command), platform, insecure, progress, signal };
      if (flags.raw === true) {
        const [place, ...more] = places;
        if (place === undefined || more.length > 0) {
          throw usageError("print several documents as they are", "name one place with --raw");
        }
        const document = flags.config === true ? "config" : "manifest";
        process.stdout.write(await readDocument({ ...common, place, document }));
        return;
      }
      if (flags.config === true) throw usageError("print a config", "give --raw, too");
      const onFailed = failureTeller(invocation, command);
      const found = [];
      for (const place of places) {
        try {
          found.push(await inspectPlace({ ...common, place }));
        } catch (error) {
          onFailed(error);
        }
      }
      if (found.length > 0) process.stdout.write(`${JSON.stringify(found, undefined, 4)}\n`);
    });
}
