import { Option, type Command } from "commander";
import { listCache } from "../../../api/index.ts";
import { cacheFilterOption, formatItems, formatTotals } from "../../cache/print-items.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";

interface Flags {
  readonly filter: readonly string[];
  readonly quiet?: boolean;
  readonly trunc: boolean;
  readonly format: "table" | "json";
}

/** `tsbuild cache ls` */
export function addListCommand(cache: Command, invocation: Invocation): void {
  cache
    .command("ls")
    .description("list what the build cache keeps of which step, used last first, and its sizes")
    .addOption(cacheFilterOption("list only these"))
    .option("-q, --quiet", "print only the IDs")
    .option("--no-trunc", "print IDs and instructions as a whole")
    .addOption(
      new Option("--format <format>", "output format").choices(["table", "json"]).default("table"),
    )
    .action(async (flags: Flags, command: Command) => {
      const listing = await listCache({
        ...globalFlags(command),
        filters: flags.filter,
        signal: invocation.signal,
      });
      const { items, totals } = listing;
      const text =
        flags.format === "json"
          ? `${JSON.stringify(listing, undefined, 2)}\n`
          : flags.quiet === true
            ? items.map(({ id }) => `${id}\n`).join("")
            : formatItems(items, flags) + formatTotals(totals);
      process.stdout.write(text);
    });
}
