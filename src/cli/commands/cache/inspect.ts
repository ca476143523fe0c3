import { Option, type Command } from "commander";
import { inspectCache } from "../../../api/index.ts";
import { formatInspected } from "../../cache/print-inspected.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";

/** `tsbuild cache inspect KEY` */
export function addInspectCommand(cache: Command, invocation: Invocation): void {
  cache
    .command("inspect")
    .description(
      "tell all about one step in the build cache: what its keys are made of, its layers, its files",
    )
    .argument("<key>", "a key or ID of `cache ls`, or its beginning")
    .addOption(
      new Option("--format <format>", "output format").choices(["text", "json"]).default("text"),
    )
    .action(async (key: string, flags: { readonly format: "text" | "json" }, command: Command) => {
      const found = await inspectCache({
        ...globalFlags(command),
        key,
        signal: invocation.signal,
      });
      const text =
        flags.format === "json"
          ? `${JSON.stringify(found, undefined, 2)}\n`
          : formatInspected(found);
      process.stdout.write(text);
    });
}
